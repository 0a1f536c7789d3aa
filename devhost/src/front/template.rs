//! ASP.NET Core route templates, as `route` in an `httpTrigger` writes them.
//!
//! Literals and parameter names ignore case. A path matches as a whole or not at all; a failed constraint is no match.
use percent_encoding::percent_decode_str;

use super::constraint::Constraint;

/// Most parts of one segment and most segments of a template.
const PARTS_MAX: usize = 16;
const SEGMENTS_MAX: usize = 64;

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
struct Segment(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Parameter(Parameter),
}

#[derive(Debug, Clone)]
struct Parameter {
    name: String,
    constraints: Vec<Constraint>,
    /// `{id?}` or `{id=1}`: the segment may be absent.
    may_be_absent: bool,
    /// `{*rest}`: any number of segments.
    catch_all: bool,
}

/// Why a template was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the route template starts with `/` or `~`")]
    Start,
    #[error("the route template has an empty segment")]
    EmptySegment,
    #[error("the route template has too many segments or parts")]
    TooLong,
    #[error("the route template has a brace that is not closed or not opened")]
    Brace,
    #[error("`{0}` is not a name of a route parameter")]
    Name(String),
    #[error("the route parameter `{0}` appears twice")]
    Twice(String),
    #[error("`{{*{0}}}` must stand alone at the end of the route template")]
    CatchAll(String),
    #[error("the optional route parameter `{0}` must stand alone at the end of the route template")]
    Optional(String),
    #[error("two route parameters stand side by side without text between them")]
    SideBySide,
    #[error("route constraint `{0}` is not played or not well formed")]
    Constraint(String),
}

impl Template {
    /// Parses a template without its leading slash; the empty text matches the root.
    ///
    /// # Errors
    /// What ASP.NET refuses, and constraints that are not played.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.starts_with(['/', '~']) {
            return Err(TemplateError::Start);
        }
        let text = text.strip_suffix('/').unwrap_or(text);
        let mut segments = Vec::new();
        if !text.is_empty() {
            for segment in split_outside_braces(text)? {
                segments.push(Segment::parse(segment)?);
            }
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(TemplateError::TooLong);
        }
        let template = Self { segments };
        template.check()?;
        Ok(template)
    }

    /// Whether `path` (still percent-encoded, with or without slashes at its ends) matches as a whole.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut given = Vec::new();
        if !path.is_empty() {
            for segment in path.split('/') {
                let Ok(segment) = percent_decode_str(segment).decode_utf8() else { return false };
                given.push(segment.into_owned());
            }
        }
        for (index, segment) in self.segments.iter().enumerate() {
            if let Some(parameter) = segment.catch_all() {
                return parameter.accepts(&given.get(index..).unwrap_or_default().join("/"), true);
            }
            let matched = match given.get(index) {
                Some(text) => segment.matches(text),
                None => segment.may_be_absent(),
            };
            if !matched {
                return false;
            }
        }
        given.len() <= self.segments.len()
    }

    fn check(&self) -> Result<(), TemplateError> {
        let mut names: Vec<&str> = Vec::new();
        let mut absent: Option<&Parameter> = None;
        for (index, segment) in self.segments.iter().enumerate() {
            let is_last = index + 1 == self.segments.len();
            for parameter in segment.parameters() {
                if names.iter().any(|have| have.eq_ignore_ascii_case(&parameter.name)) {
                    return Err(TemplateError::Twice(parameter.name.clone()));
                }
                names.push(&parameter.name);
                let alone = segment.0.len() == 1;
                if parameter.catch_all && !(alone && is_last) {
                    return Err(TemplateError::CatchAll(parameter.name.clone()));
                }
                if parameter.may_be_absent && !alone {
                    return Err(TemplateError::Optional(parameter.name.clone()));
                }
            }
            match absent {
                Some(parameter) if !segment.may_be_absent() && segment.catch_all().is_none() => {
                    return Err(TemplateError::Optional(parameter.name.clone()));
                }
                _ => absent = absent.or_else(|| segment.parameters().find(|it| it.may_be_absent)),
            }
        }
        Ok(())
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::EmptySegment);
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let doubled = rest.starts_with("{{") || rest.starts_with("}}");
            match character {
                _ if doubled => {
                    literal.push(character);
                    rest = &rest[2..];
                }
                '{' => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    } else if matches!(parts.last(), Some(Part::Parameter(_))) {
                        return Err(TemplateError::SideBySide);
                    }
                    let length = braced_length(rest).ok_or(TemplateError::Brace)?;
                    parts.push(Part::Parameter(Parameter::parse(&rest[1..length - 1])?));
                    rest = &rest[length..];
                }
                '}' => return Err(TemplateError::Brace),
                '?' => return Err(TemplateError::Name(text.to_owned())),
                _ => {
                    literal.push(character);
                    rest = &rest[character.len_utf8()..];
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if parts.len() > PARTS_MAX { Err(TemplateError::TooLong) } else { Ok(Self(parts)) }
    }

    fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter().filter_map(|part| match part {
            Part::Parameter(parameter) => Some(parameter),
            Part::Literal(_) => None,
        })
    }

    fn catch_all(&self) -> Option<&Parameter> {
        self.parameters().find(|it| it.catch_all)
    }

    fn may_be_absent(&self) -> bool {
        self.parameters().any(|it| it.may_be_absent)
    }

    fn matches(&self, text: &str) -> bool {
        match_parts(&self.0, text)
    }
}

impl Parameter {
    fn parse(text: &str) -> Result<Self, TemplateError> {
        let bare = text.trim_start_matches('*');
        let catch_all = bare.len() < text.len();
        let end = bare.find([':', '=', '?']).unwrap_or(bare.len());
        let (name, mut rest) = bare.split_at(end);
        if name.is_empty() || name.contains(['{', '}', '/', '*']) || text.len() - bare.len() > 2 {
            return Err(TemplateError::Name(text.to_owned()));
        }
        let mut constraints = Vec::new();
        while let Some(constraint) = rest.strip_prefix(':') {
            let end = constraint_length(constraint);
            let written = &constraint[..end];
            constraints.push(Constraint::parse(written).ok_or_else(|| TemplateError::Constraint(written.to_owned()))?);
            rest = &constraint[end..];
        }
        let may_be_absent = rest == "?" || rest.starts_with('=');
        if !rest.is_empty() && !may_be_absent {
            return Err(TemplateError::Name(text.to_owned()));
        }
        if catch_all && rest == "?" {
            return Err(TemplateError::CatchAll(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), constraints, may_be_absent, catch_all })
    }

    fn accepts(&self, text: &str, may_be_empty: bool) -> bool {
        if text.is_empty() {
            return may_be_empty;
        }
        self.constraints.iter().all(|it| it.holds(text))
    }
}

/// Matches the parts of one segment; a parameter takes at least one character and as many as it can.
fn match_parts(parts: &[Part], text: &str) -> bool {
    match parts.split_first() {
        None => text.is_empty(),
        Some((Part::Literal(literal), rest)) => {
            let folded = text.get(..literal.len()).is_some_and(|it| it.to_lowercase() == literal.to_lowercase());
            folded && match_parts(rest, &text[literal.len()..])
        }
        Some((Part::Parameter(parameter), [])) => parameter.accepts(text, false),
        Some((Part::Parameter(parameter), rest)) => {
            let ends = text.char_indices().map(|(at, _)| at).skip(1).collect::<Vec<_>>();
            ends.into_iter().rev().any(|end| parameter.accepts(&text[..end], false) && match_parts(rest, &text[end..]))
        }
    }
}

/// Splits at slashes that are not inside braces, where a regular expression may hold them.
fn split_outside_braces(text: &str) -> Result<Vec<&str>, TemplateError> {
    let mut segments = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            at += 2;
        } else if rest.starts_with('{') {
            at += braced_length(rest).ok_or(TemplateError::Brace)?;
        } else if rest.starts_with('/') {
            segments.push(&text[start..at]);
            at += 1;
            start = at;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    segments.push(&text[start..]);
    Ok(segments)
}

/// The length of the parameter that begins with the brace at the start of `text`; doubled braces inside are text.
fn braced_length(text: &str) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            at += 2;
        } else if rest.starts_with('}') {
            return Some(at + 1);
        } else if rest.starts_with('{') {
            return None;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

/// The length of one constraint: up to `:`, `=` or `?` outside parentheses.
fn constraint_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ':' | '=' | '?' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_as_aspnet_matches_them() {
        for (template, path, expected) in [
            ("api/orders", "/api/orders", true),
            ("api/orders", "/API/ORDERS/", true),
            ("api/orders", "/api/orders/7", false),
            ("api/orders", "/api//orders", false),
            ("api/{*rest}", "/api/a/b/c", true),
            ("api/{*rest}", "/api", true),
            ("api/{**rest}", "/apix", false),
            ("api/orders/{id:int}", "/api/orders/7", true),
            ("api/orders/{id:int}", "/api/orders/x", false),
            ("api/orders/{id:int?}", "/api/orders", true),
            ("api/orders/{id?}", "/api/orders/", true),
            ("api/orders/{id=1}", "/api/orders", true),
            ("api/orders/{id}", "/api/orders", false),
            ("api/orders/{id}/lines/{line:int:min(1)}", "/api/orders/a%20b/lines/0", false),
            ("api/orders/{id}/lines/{line:int:min(1)}", "/api/orders/a%20b/lines/1", true),
            ("api/files/{name}.{ending}", "/api/files/a.b.c", true),
            ("api/files/{name}.{ending}", "/api/files/abc", false),
            ("api/{code:regex(^[[a-z]]{{2}}/x$)}", "/api/ab%2Fx", true),
            ("api/caf\u{e9}", "/api/caf%C3%A9", true),
            ("", "/", true),
        ] {
            assert_eq!(Template::parse(template).unwrap().matches(path), expected, "{template} {path}");
        }
    }

    #[test]
    fn what_aspnet_refuses_is_refused() {
        for template in [
            "/a", "~a", "a//b", "{a", "a}", "{a}{b}", "{*a}/b", "{a?}/b", "{a}/{A}", "{}", "{a:odd}", "x{a?}", "{***a}",
        ] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
    }
}
