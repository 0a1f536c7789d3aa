//! The one answer that a bare server gives: bytes recorded from the handler, so that both put the same on
//! the wire and only the work to get there differs.
pub mod alone;
pub mod buying;
pub mod counted;
pub mod far;
pub mod metered;
mod provider;

use std::{error::Error, ffi::OsString, fs};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// What is answered to every request, with 200.
#[derive(Clone, Debug)]
pub struct Answer {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// From header lines, an empty line and the body.
    ///
    /// # Errors
    /// If there is no empty line, or a line is no header.
    pub fn parse(text: &str) -> Result<Answer, Box<dyn Error>> {
        let (head, body) = text.split_once("\n\n").ok_or("there is no empty line before the body")?;
        let mut headers = HeaderMap::new();
        for line in head.lines() {
            let (name, value) = line.split_once(": ").ok_or_else(|| format!("`{line}` is no header"))?;
            headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
        Ok(Answer { headers, body: Bytes::copy_from_slice(body.as_bytes()) })
    }
}

/// Reads the command line `PORT FILE`.
///
/// # Errors
/// If it is not that, or the file is no answer.
pub fn given(words: impl Iterator<Item = OsString>) -> Result<(u16, Answer), Box<dyn Error>> {
    let words: Vec<OsString> = words.skip(1).collect();
    let [port, file] = words.as_slice() else { return Err("usage: PORT FILE".into()) };
    let port = port.to_str().ok_or("the port is no text")?.parse()?;
    Ok((port, Answer::parse(&fs::read_to_string(file)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_headers_and_a_body() {
        let answer = Answer::parse("content-type: application/json\netag: \"1\"\n\n{\"a\":\n\n1}").unwrap();
        assert_eq!(answer.headers.len(), 2);
        assert_eq!(answer.body, "{\"a\":\n\n1}");
        assert!(Answer::parse("content-type: application/json").is_err());
        assert!(Answer::parse("nonsense\n\n").is_err());
    }
}
