//! What a program asks of the machine that starts it, read from the program itself. Source: System V ABI, "Object
//! Files", and elf(5).

/// Program headers of these kinds.
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
/// An entry of the dynamic section that names a library.
const DT_NEEDED: u64 = 1;
const DYNAMIC_ENTRY_BYTES: usize = 16;

/// What has to be there: an interpreter, libraries. Nothing for a static program, relocatable or not.
pub(super) fn needs(program: &[u8]) -> Result<Vec<String>, &'static str> {
    const TORN: &str = "the program is torn";
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return Err("this is no 64-bit ELF program");
    }
    let (first, size, count) = (number(program, 0x20, 8), number(program, 0x36, 2), number(program, 0x38, 2));
    let (Some(first), Some(size), Some(count)) = (first, size, count) else { return Err(TORN) };
    let (mut needs, mut libraries) = (Vec::new(), 0);
    for header in (0..count).map(|n| first + n * size) {
        let kind = number(program, header, 4).and_then(|it| u32::try_from(it).ok()).ok_or(TORN)?;
        let part = || {
            let (from, bytes) = (number(program, header + 8, 8)?, number(program, header + 32, 8)?);
            program.get(from..from.checked_add(bytes)?)
        };
        match kind {
            PT_INTERP => {
                let path = String::from_utf8_lossy(part().ok_or(TORN)?).trim_end_matches('\0').to_owned();
                needs.push(format!("the interpreter {path}"));
            }
            PT_DYNAMIC => {
                let entries = part().ok_or(TORN)?.chunks_exact(DYNAMIC_ENTRY_BYTES);
                libraries += entries.filter(|it| it.starts_with(&DT_NEEDED.to_le_bytes())).count();
            }
            _ => {}
        }
    }
    if libraries > 0 {
        needs.push(format!("{libraries} libraries"));
    }
    Ok(needs)
}

fn number(program: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let read = program.get(at..at.checked_add(bytes)?)?;
    let mut all = [0; 8];
    all[..bytes].copy_from_slice(read);
    usize::try_from(u64::from_le_bytes(all)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of headers alone, each of a kind and with a content.
    fn program(parts: &[(u32, &[u8])]) -> Vec<u8> {
        const HEADERS: usize = 64;
        const HEADER: usize = 56;
        let mut bytes = vec![0; HEADERS];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[0x20] = u8::try_from(HEADERS).unwrap();
        bytes[0x36] = u8::try_from(HEADER).unwrap();
        bytes[0x38] = u8::try_from(parts.len()).unwrap();
        let mut from = HEADERS + parts.len() * HEADER;
        for (kind, content) in parts {
            let mut header = [0; HEADER];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&from.to_le_bytes());
            header[32..40].copy_from_slice(&content.len().to_le_bytes());
            bytes.extend_from_slice(&header);
            from += content.len();
        }
        for (_, content) in parts {
            bytes.extend_from_slice(content);
        }
        bytes
    }

    #[test]
    fn a_static_program_needs_nothing() {
        let mut dynamic = [0; 48];
        dynamic[0] = 5;
        assert_eq!(needs(&program(&[(1, b"code")])).unwrap(), Vec::<String>::new());
        assert_eq!(needs(&program(&[(1, b"code"), (PT_DYNAMIC, &dynamic)])).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_a_program_needs_is_said() {
        let mut dynamic = [0; 48];
        (dynamic[0], dynamic[16]) = (1, 1);
        let found = needs(&program(&[(PT_INTERP, b"/lib/ld.so\0"), (PT_DYNAMIC, &dynamic)])).unwrap();
        assert_eq!(found, ["the interpreter /lib/ld.so", "2 libraries"]);
        let ourselves = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let found = needs(&ourselves).unwrap();
        assert!(found.iter().any(|it| it.starts_with("the interpreter /")), "{found:?}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(needs(b"#!/bin/sh\n").is_err());
        let whole = program(&[(PT_INTERP, b"/lib/ld.so\0")]);
        assert!(needs(&whole[..whole.len() - 4]).is_err());
        assert!(needs(&whole[..40]).is_err());
    }
}
