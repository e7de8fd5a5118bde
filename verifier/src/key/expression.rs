//! Constraint polynomials as one graph with shared nodes.
//!
//! halo2 holds each polynomial as a tree. Trees of the wide Poseidon gates repeat the same linear
//! combinations many times, so the trees are merged: equal subtrees become one node, and one pass
//! over the nodes in order evaluates every constraint.
//!
//! Order: a node's operands have lower positions than the node itself. Operands of a sum or product
//! are in ascending order, so that a + b and b + a are one node. halo2's `Scaled(a, c)` is the
//! product of a and a constant node.

use std::collections::BTreeMap;

use ark_bn254::Fr;

use super::index;

/// Position of a node in the list of nodes.
pub type NodeIndex = u32;

/// One operation. Queries and challenges are positions in the key's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A constant of the circuit.
    Constant(Fr),
    /// Value of a fixed query.
    Fixed(u32),
    /// Value of an advice query.
    Advice(u32),
    /// Value of an instance query.
    Instance(u32),
    /// A challenge drawn between phases.
    Challenge(u32),
    /// The negative of a node.
    Negated(NodeIndex),
    /// The sum of two nodes.
    Sum(NodeIndex, NodeIndex),
    /// The product of two nodes.
    Product(NodeIndex, NodeIndex),
}

impl Node {
    /// The nodes this one is computed from.
    pub(crate) fn operands(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        let (first, second) = match *self {
            Self::Negated(a) => (Some(a), None),
            Self::Sum(a, b) | Self::Product(a, b) => (Some(a), Some(b)),
            _ => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// Builds a graph, giving equal operations the same position.
#[derive(Clone, Debug, Default)]
pub struct ExpressionBuilder {
    nodes: Vec<Node>,
    positions: BTreeMap<Node, NodeIndex>,
}

impl ExpressionBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The position of this operation, adding it if it is new. Operands of sums and products are
    /// put in order. Positions above `u32::MAX` saturate; the key's limits refuse such a graph.
    pub fn add(&mut self, node: Node) -> NodeIndex {
        let node = match node {
            Node::Sum(a, b) => Node::Sum(a.min(b), a.max(b)),
            Node::Product(a, b) => Node::Product(a.min(b), a.max(b)),
            other => other,
        };
        let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let nodes = &mut self.nodes;
        *self.positions.entry(node).or_insert_with(|| {
            nodes.push(node);
            next
        })
    }

    /// The finished list of nodes.
    #[must_use]
    pub fn finish(self) -> Vec<Node> {
        self.nodes
    }
}

/// The values expressions are computed from, each list in the order of the key's queries.
pub(crate) struct Leaves<'a> {
    pub(crate) fixed: &'a [Fr],
    pub(crate) advice: &'a [Fr],
    pub(crate) instance: &'a [Fr],
    pub(crate) challenges: &'a [Fr],
}

/// Evaluates every node. `None` if a reference dangles, which a checked key excludes.
pub(crate) fn evaluate(nodes: &[Node], leaves: &Leaves<'_>) -> Option<Vec<Fr>> {
    let mut values: Vec<Fr> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let of = |position: NodeIndex| values.get(index(position)).copied();
        let value = match *node {
            Node::Constant(constant) => constant,
            Node::Fixed(query) => *leaves.fixed.get(index(query))?,
            Node::Advice(query) => *leaves.advice.get(index(query))?,
            Node::Instance(query) => *leaves.instance.get(index(query))?,
            Node::Challenge(challenge) => *leaves.challenges.get(index(challenge))?,
            Node::Negated(a) => -of(a)?,
            Node::Sum(a, b) => of(a)? + of(b)?,
            Node::Product(a, b) => of(a)? * of(b)?,
        };
        values.push(value);
    }
    Some(values)
}

/// The degree of every node in the columns. `None` if a reference dangles.
pub(crate) fn degrees(nodes: &[Node]) -> Option<Vec<u32>> {
    let mut degrees: Vec<u32> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let of = |position: NodeIndex| degrees.get(index(position)).copied();
        let degree = match *node {
            Node::Constant(_) | Node::Challenge(_) => 0,
            Node::Fixed(_) | Node::Advice(_) | Node::Instance(_) => 1,
            Node::Negated(a) => of(a)?,
            Node::Sum(a, b) => of(a)?.max(of(b)?),
            Node::Product(a, b) => of(a)?.saturating_add(of(b)?),
        };
        degrees.push(degree);
    }
    Some(degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_operations_share_a_node_whatever_the_order_of_operands() {
        let mut builder = ExpressionBuilder::new();
        let a = builder.add(Node::Advice(0));
        let b = builder.add(Node::Advice(1));
        let sum = builder.add(Node::Sum(a, b));
        assert_eq!(builder.add(Node::Sum(b, a)), sum);
        assert_eq!(builder.add(Node::Advice(0)), a);
        assert_ne!(builder.add(Node::Product(a, b)), sum);
        assert_eq!(builder.finish().len(), 4);
    }

    #[test]
    fn values_and_degrees_follow_the_operations() {
        let mut builder = ExpressionBuilder::new();
        let a = builder.add(Node::Advice(0));
        let c = builder.add(Node::Constant(Fr::from(10_u64)));
        let square = builder.add(Node::Product(a, a));
        let scaled = builder.add(Node::Product(square, c));
        let challenge = builder.add(Node::Challenge(0));
        let minus = builder.add(Node::Negated(challenge));
        builder.add(Node::Sum(scaled, minus));
        let nodes = builder.finish();
        let leaves = Leaves {
            fixed: &[],
            advice: &[Fr::from(3_u64)],
            instance: &[],
            challenges: &[Fr::from(5_u64)],
        };
        let values = evaluate(&nodes, &leaves).unwrap();
        assert_eq!(values.last(), Some(&Fr::from(85_u64)));
        assert_eq!(degrees(&nodes).unwrap(), [1, 0, 2, 2, 0, 0, 2]);
    }

    #[test]
    fn a_dangling_reference_gives_nothing() {
        let leaves = Leaves {
            fixed: &[],
            advice: &[],
            instance: &[],
            challenges: &[],
        };
        assert_eq!(evaluate(&[Node::Negated(0)], &leaves), None);
        assert_eq!(evaluate(&[Node::Fixed(0)], &leaves), None);
        assert_eq!(degrees(&[Node::Sum(0, 1)]), None);
    }
}
