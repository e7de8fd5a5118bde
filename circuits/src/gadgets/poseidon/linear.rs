//! Small dense linear algebra over the field, used once per width when the gates are built.

use halo2curves::bn256::Fr;

/// A row-major matrix.
pub(super) type Matrix = Vec<Vec<Fr>>;

/// `left * right`.
pub(super) fn multiply(left: &Matrix, right: &Matrix) -> Matrix {
    left.iter().map(|row| apply_left(row, right)).collect()
}

/// `row * matrix`.
pub(super) fn apply_left(row: &[Fr], matrix: &Matrix) -> Vec<Fr> {
    let columns = matrix.first().map_or(0, Vec::len);
    (0..columns)
        .map(|j| row.iter().zip(matrix).map(|(x, line)| x * line[j]).sum())
        .collect()
}

/// `matrix * column`.
pub(super) fn apply(matrix: &Matrix, column: &[Fr]) -> Vec<Fr> {
    matrix.iter().map(|row| dot(row, column)).collect()
}

/// Inner product.
pub(super) fn dot(left: &[Fr], right: &[Fr]) -> Fr {
    left.iter().zip(right).map(|(x, y)| x * y).sum()
}

/// The inverse, or `None` for a singular matrix (Gauss-Jordan).
pub(super) fn invert(matrix: &Matrix) -> Option<Matrix> {
    let size = matrix.len();
    let mut left = matrix.clone();
    let mut right: Matrix = (0..size)
        .map(|i| (0..size).map(|j| Fr::from(u64::from(i == j))).collect())
        .collect();
    for column in 0..size {
        let pivot = (column..size).find(|row| left[*row][column] != Fr::zero())?;
        left.swap(column, pivot);
        right.swap(column, pivot);
        let scale = Option::<Fr>::from(left[column][column].invert())?;
        for j in 0..size {
            left[column][j] *= scale;
            right[column][j] *= scale;
        }
        for row in (0..size).filter(|row| *row != column) {
            let factor = left[row][column];
            for j in 0..size {
                let (x, y) = (left[column][j], right[column][j]);
                left[row][j] -= factor * x;
                right[row][j] -= factor * y;
            }
        }
    }
    Some(right)
}

/// Coefficients `[1, a_1, .., a_n]` of the characteristic polynomial
/// `x^n + a_1 x^(n-1) + .. + a_n` (Faddeev-LeVerrier).
pub(super) fn characteristic_polynomial(matrix: &Matrix) -> Vec<Fr> {
    let size = matrix.len();
    let mut coefficients = vec![Fr::one()];
    let mut auxiliary: Matrix = vec![vec![Fr::zero(); size]; size];
    for step in 1..=size {
        for (i, row) in auxiliary.iter_mut().enumerate() {
            row[i] += coefficients[step - 1];
        }
        auxiliary = multiply(matrix, &auxiliary);
        let trace: Fr = (0..size).map(|i| auxiliary[i][i]).sum();
        let inverse = Fr::from(step as u64)
            .invert()
            .expect("a small integer is not 0 mod p");
        coefficients.push(-trace * inverse);
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characteristic_polynomial_of_a_small_matrix_is_the_textbook_one() {
        let f = Fr::from;
        let matrix = vec![vec![f(2), f(1)], vec![f(7), f(5)]];
        // x^2 - 7 x + 3
        assert_eq!(characteristic_polynomial(&matrix), vec![f(1), -f(7), f(3)]);
        let inverse = invert(&matrix).unwrap();
        assert_eq!(multiply(&matrix, &inverse)[0], vec![f(1), f(0)]);
        assert!(invert(&vec![vec![f(1), f(2)], vec![f(2), f(4)]]).is_none());
    }
}
