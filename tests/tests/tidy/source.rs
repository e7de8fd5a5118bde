//! A Rust file split into code and comments, so that a rule about one never trips over the other.
//!
//! Both views keep the length and the line breaks of the original; what does not belong to a view is
//! blanked. The contents of string and character literals belong to neither: a sample of bad code
//! inside a literal (this test has many) is not bad code. This is a lexer for formatted Rust, not a
//! parser: it knows comments, literals, attributes and brackets, and nothing about macros or types.
//!
//! Source: the Rust reference, chapters "Comments" and "Tokens".

/// One `.rs` file in the views that the rules need.
pub(crate) struct Source {
    /// Path from the root of the repository, with `/` between components.
    pub(crate) path: String,
    /// The file as it is on disk.
    pub(crate) text: String,
    /// Code only: comments and the contents of literals are spaces, quotes stay.
    pub(crate) code: String,
    /// Comments only, with their slashes.
    pub(crate) comments: String,
}

/// What the bytes from some place on are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Splits `text`. Text that is not valid Rust gives a meaningless split, never a panic.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let classes = classify(text.as_bytes());
        let view = |wanted: Class| {
            let keep = |(&byte, &class): (&u8, &Class)| {
                if byte == b'\n' || class == wanted {
                    byte
                } else {
                    b' '
                }
            };
            let bytes: Vec<u8> = text.as_bytes().iter().zip(&classes).map(keep).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: view(Class::Code),
            comments: view(Class::Comment),
        }
    }

    /// Line number, from 1, of a byte offset into any of the views.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        1 + self
            .text
            .bytes()
            .take(offset)
            .filter(|&byte| byte == b'\n')
            .count()
    }

    /// `path:line`, the way an editor understands it.
    pub(crate) fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.path, self.line_at(offset))
    }

    /// Every outer and inner attribute: offset of its `#` and the code between its brackets.
    pub(crate) fn attributes(&self) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        for (hash, _) in self.code.match_indices('#') {
            let rest = &self.code[hash + 1..];
            let bang = usize::from(rest.starts_with('!'));
            if !rest[bang..].starts_with('[') {
                continue;
            }
            let open = hash + 1 + bang;
            if let Some(close) = matching(&self.code, open) {
                found.push((hash, self.code[open + 1..close].trim()));
            }
        }
        found
    }

    /// Byte offsets at which `word` stands in `view` with no identifier character around it.
    pub(crate) fn words(view: &str, word: &str) -> Vec<usize> {
        let is_name =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let bytes = view.as_bytes();
        view.match_indices(word)
            .map(|(at, _)| at)
            .filter(|&at| at == 0 || !is_name(bytes.get(at - 1)))
            .filter(|&at| !is_name(bytes.get(at + word.len())))
            .collect()
    }

    /// Inline modules `mod name { .. }`: name, offset of `mod`, offset of the closing brace.
    pub(crate) fn inline_modules(&self) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for at in Self::words(&self.code, "mod") {
            let rest = &self.code[at + 3..];
            let Some(brace) = rest.find(['{', ';']) else {
                continue;
            };
            if rest.as_bytes()[brace] == b';' {
                continue;
            }
            if let Some(close) = matching(&self.code, at + 3 + brace) {
                found.push((rest[..brace].trim().to_owned(), at, close));
            }
        }
        found
    }

    /// Byte ranges of the inline test modules: those called `tests` or marked `cfg(test)`.
    pub(crate) fn test_modules(&self) -> Vec<(usize, usize)> {
        let is_test = |name: &str, at: usize| {
            let head = &self.code[..at];
            let item = head.rfind([';', '}', '{']).map_or(0, |end| end + 1);
            name == "tests" || head[item..].contains("cfg(test)")
        };
        let modules = self.inline_modules().into_iter();
        modules
            .filter(|(name, at, _)| is_test(name, *at))
            .map(|(_, at, close)| (at, close))
            .collect()
    }

    /// The code with inline test modules blanked.
    pub(crate) fn code_without_tests(&self) -> String {
        let mut bytes = self.code.clone().into_bytes();
        for (from, to) in self.test_modules() {
            for byte in &mut bytes[from..=to] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Offset of the bracket that closes the one at `open`, if there is one.
fn matching(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The class of every byte. Quotes of literals count as code.
fn classify(text: &[u8]) -> Vec<Class> {
    let mut classes = vec![Class::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (class, len) = if rest.starts_with(b"//") {
            let len = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
            (Class::Comment, len)
        } else if rest.starts_with(b"/*") {
            (Class::Comment, block_comment_len(rest))
        } else if rest[0] == b'"' {
            (Class::Literal, string_len(text, at))
        } else if rest[0] == b'\'' {
            (Class::Literal, character_len(rest))
        } else {
            (Class::Code, 1)
        };
        for (offset, slot) in classes[at..at + len].iter_mut().enumerate() {
            let quote = class == Class::Literal && (offset == 0 || offset + 1 == len);
            *slot = if quote { Class::Code } else { class };
        }
        at += len;
    }
    classes
}

/// Length of the block comment that `rest` starts with; such comments nest.
fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of the string whose first quote is at `at`: raw when `r`, `br` or `cr` and hashes precede.
fn string_len(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let hashes = text[..at].iter().rev().take_while(|&&b| b == b'#').count();
    let head = &text[..at - hashes];
    let word = head
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
        .count();
    if [&b"r"[..], b"br", b"cr"].contains(&&head[head.len() - word..]) {
        let close: Vec<u8> = std::iter::once(b'"').chain(vec![b'#'; hashes]).collect();
        let end = rest[1..]
            .windows(close.len())
            .position(|window| window == close);
        return end.map_or(rest.len(), |end| end + 2);
    }
    let mut len = 1;
    while len < rest.len() {
        match rest[len] {
            b'\\' => len += 2,
            b'"' => return len + 1,
            _ => len += 1,
        }
    }
    rest.len()
}

/// Length of the character literal that `rest` starts with, or 1 when the quote opens a lifetime.
fn character_len(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|&b| b == b'\'');
        return end.map_or(rest.len(), |end| end + 4);
    }
    // A character is at most four bytes of UTF-8; a lifetime has no closing quote that near, except
    // in `'a, 'b`, where what lies between is not one character.
    let one_char = rest.get(1).map_or(0, |&lead| match lead {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    });
    if rest.get(1 + one_char) == Some(&b'\'') {
        2 + one_char
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn code(text: &str) -> String {
        Source::new("a.rs", text)
            .code
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        assert_eq!(code("let a = 1; // let b = 2;"), "let a = 1;");
        assert_eq!(code("x /* y /* z */ w */ v"), "x v");
        assert_eq!(
            code(r#"f("dbg!(1) \" // no", 2)"#).replace(' ', ""),
            "f(\"\",2)"
        );
        assert_eq!(code("f(r#\"a \" b\"#, 3)").replace(' ', ""), "f(r#\"\"#,3)");
        assert_eq!(code("let q = '\"'; g()"), "let q = ' '; g()");
        assert_eq!(code("let q = '\\''; g()").replace(' ', ""), "letq='';g()");
        assert_eq!(
            code("fn f<'a, 'b>(x: &'a str) {}"),
            "fn f<'a, 'b>(x: &'a str) {}"
        );
    }

    #[test]
    fn comments_keep_their_lines() {
        let source = Source::new("a.rs", "let a = \"// no\";\n// yes\n");
        assert_eq!(source.comments.trim(), "// yes");
        assert_eq!(source.line_at(source.comments.find("yes").unwrap_or(0)), 2);
    }

    #[test]
    fn test_modules_are_found_and_blanked() {
        let text = "fn a() {}\n#[cfg(test)]\nmod checks {\n fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("a.rs", text);
        assert_eq!(source.test_modules().len(), 1);
        let code = source.code_without_tests();
        assert!(code.contains("fn c") && !code.contains("fn b"));
    }

    #[test]
    fn attributes_are_found_with_their_contents() {
        let source = Source::new("a.rs", "#![deny(x)]\n#[cfg(all(a, b))]\nfn f() { a[0] }");
        let texts: Vec<&str> = source
            .attributes()
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert_eq!(texts, ["deny(x)", "cfg(all(a, b))"]);
    }
}
