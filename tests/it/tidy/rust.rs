//! Just enough of Rust's grammar for the rules: text without comments and literals, the paths a file
//! mentions, the extent of functions.

/// The text with comments and the insides of literals blanked; lines and columns stay where they are.
pub(super) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(bytes, at),
            b'"' => string(bytes, at),
            b'r' if !follows_word(bytes, at) => raw_string(bytes, at).unwrap_or(at),
            b'\'' => character(text, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        // `br"…"` and `cr"…"`: the prefix is a word of its own and does no harm.
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("whole characters were blanked")
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|it| it == what).map(|at| from + at)
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() && bytes[at - 1] != b'b' || bytes[at - 1] == b'_')
}

fn block_comment(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string(bytes: &[u8], from: usize) -> Option<usize> {
    let hashes = bytes[from + 1..].iter().take_while(|it| **it == b'#').count();
    if bytes.get(from + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    Some(find(bytes, from + 2 + hashes, &close).map_or(bytes.len(), |at| at + close.len()))
}

/// A character literal, not a lifetime.
fn character(text: &str, from: usize) -> Option<usize> {
    let inside = text.get(from + 1..)?;
    if inside.starts_with('\\') {
        return find(text.as_bytes(), from + 3, b"'").map(|at| at + 1);
    }
    let width = inside.chars().next()?.len_utf8();
    inside[width..].starts_with('\'').then_some(from + 2 + width)
}

/// Words and punctuation of blanked code; `::` is one token.
pub(super) fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("::") {
            2
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        found.push(token);
        rest = after.trim_start();
    }
    found
}

fn is_word(token: &str) -> bool {
    token.starts_with(|it: char| it.is_alphabetic() || it == '_')
}

/// Every path with at least two parts that the code of this file mentions, groups written out and
/// `crate`, `self` and `super` resolved, so that one of ours begins with `crate`.
pub(super) fn paths(file: &str, text: &str) -> Vec<Vec<String>> {
    let code = code(text);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    // Inline modules that are open at this point: name, and the depth of braces outside them.
    let (mut inner, mut depth) = (Vec::<(String, usize)>::new(), 0_usize);
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at] {
            "mod" if tokens.get(at + 2) == Some(&"{") => inner.push((tokens[at + 1].to_owned(), depth)),
            // In a macro: `mod $name {`.
            "mod" if tokens.get(at + 3) == Some(&"{") => inner.push((tokens[at + 2].to_owned(), depth)),
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if inner.last().is_some_and(|(_, outside)| *outside == depth) {
                    inner.pop();
                }
            }
            word if is_word(word) && tokens.get(at + 1) == Some(&"::") && (at == 0 || tokens[at - 1] != "::") => {
                let mut here = Vec::new();
                at = path(&tokens, at, &mut Vec::new(), &mut here);
                let mut module = module_of(file);
                module.extend(inner.iter().map(|(name, _)| name.clone()));
                found.extend(here.into_iter().map(|it| resolve(&module, it)));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one path or group from `at`; answers where it ends.
fn path(tokens: &[&str], mut at: usize, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let kept = before.len();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while let Some(token) = tokens.get(at) {
                    match *token {
                        "}" => break,
                        "," => at += 1,
                        _ => at = path(tokens, at, before, found).max(at + 1),
                    }
                }
                before.truncate(kept);
                return at + 1;
            }
            Some(word) if is_word(word) || *word == "*" => {
                before.push((*word).to_owned());
                at += 1;
                let goes_on = tokens.get(at) == Some(&"::")
                    && tokens.get(at + 1).is_some_and(|it| is_word(it) || matches!(*it, "{" | "*"));
                if goes_on {
                    at += 1;
                    continue;
                }
                found.push(before.clone());
                if tokens.get(at) == Some(&"as") {
                    at += 2;
                }
                before.truncate(kept);
                return at;
            }
            _ => {
                before.truncate(kept);
                return at;
            }
        }
    }
}

/// `shared/host/call.rs` is `crate::shared::host::call`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let mut module = vec!["crate".to_owned()];
    module.extend(path.split('/').map(str::to_owned));
    module
}

fn resolve(module: &[String], path: Vec<String>) -> Vec<String> {
    let ups = path.iter().take_while(|it| *it == "super").count();
    if ups > 0 {
        let base = module.len().saturating_sub(ups).max(1);
        return [&module[..base], &path[ups..]].concat();
    }
    if path[0] == "self" { [module, &path[1..]].concat() } else { path }
}

/// A function as written: its name and its first and last line, counted from 1.
#[derive(Debug, PartialEq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) is_async: bool,
}

impl Function {
    pub(super) fn lines(&self) -> usize {
        self.last - self.first + 1
    }
}

/// Functions with a body.
pub(super) fn functions(text: &str) -> Vec<Function> {
    let code = code(text);
    let mut found = Vec::new();
    // Functions whose body is open: index in `found` and the depth outside the body.
    let (mut open, mut depth) = (Vec::<(usize, usize)>::new(), 0_usize);
    let mut waiting: Option<Function> = None;
    let mut round = 0_usize;
    for (number, line) in code.lines().enumerate() {
        let tokens = tokens(line);
        for (at, token) in tokens.iter().enumerate() {
            match *token {
                "fn" if tokens.get(at + 1).is_some_and(|it| is_word(it)) => {
                    let is_async = tokens[..at].contains(&"async");
                    let name = tokens[at + 1].to_owned();
                    waiting = Some(Function { name, first: number + 1, last: number + 1, is_async });
                }
                "(" | "[" => round += 1,
                ")" | "]" => round = round.saturating_sub(1),
                ";" if round == 0 => waiting = None,
                "{" => {
                    if let Some(function) = waiting.take() {
                        open.push((found.len(), depth));
                        found.push(function);
                    }
                    depth += 1;
                }
                "}" => {
                    depth = depth.saturating_sub(1);
                    if let Some((index, _)) = open.pop_if(|(_, outside)| *outside == depth) {
                        found[index].last = number + 1;
                    }
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn comments_and_literals_are_blanked() {
    let text = "let a = \"x // {\"; // {\nlet b = r#\"}\"#; /* { /* { */ } */ let c = '{'; let d: &'static str = \"\\\"{\"; let e = '\\''; 'ü'";
    let code = code(text);
    assert!(!code.contains(['{', '}']), "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(code.contains("'static str"), "{code}");
}

#[test]
fn paths_are_written_out_and_resolved() {
    let text = "use crate::shared::{host::{call::Call, room}, ports as p};\nuse super::reply::*;\n\
                mod tests { use super::x::y; fn f() { warp::path(\"a::b\"); Vec::<u8>::new(); super::super::z::q() } }";
    let found: Vec<String> = paths("functions/cart/mod.rs", text).iter().map(|it| it.join("::")).collect();
    for wanted in [
        "crate::shared::host::call::Call",
        "crate::shared::host::room",
        "crate::shared::ports",
        "crate::functions::reply::*",
        "crate::functions::cart::x::y",
        "crate::functions::z::q",
        "warp::path",
    ] {
        assert!(found.iter().any(|it| it == wanted), "{wanted} not in {found:?}");
    }
    assert!(!found.iter().any(|it| it.starts_with("a::")), "{found:?}");
}

#[test]
fn functions_have_names_and_extents() {
    let text = "trait T {\n    fn none(&self, a: [u8; 2]);\n}\npub async fn one(\n    a: u8,\n) {\n    let f = || { 1 };\n}\nfn two() {}\n";
    let found: Vec<_> = functions(text).into_iter().map(|it| (it.name, it.first, it.last, it.is_async)).collect();
    assert_eq!(found, [("one".to_owned(), 4, 8, true), ("two".to_owned(), 9, 9, false)]);
}
