//! Files of properties: TOML, or Java's `.properties`.

use std::path::Path;

use crate::error::Error;

/// Reads the properties of a file, by name; a file whose name ends with `.properties` is in Java's format, all others
/// are TOML.
///
/// In TOML a dot in a name opens a table, so `log.retention.ms = 1000` and `[log.retention]` with `ms = 1000` are the same;
/// lists stand for values separated by commas.
///
/// # Errors
/// [`Error::Config`] if the file cannot be read or is malformed.
pub fn read_properties(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let fault = |reason: String| Error::Config(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    if path.extension().is_some_and(|extension| extension == "properties") {
        return Ok(java_properties(&text));
    }
    let table: toml::Table = toml::from_str(&text).map_err(|error| fault(error.to_string()))?;
    let mut properties = Vec::new();
    flatten("", toml::Value::Table(table), &mut properties).map_err(fault)?;
    Ok(properties)
}

fn flatten(name: &str, value: toml::Value, into: &mut Vec<(String, String)>) -> Result<(), String> {
    let text = match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                flatten(&name, value, into)?;
            }
            return Ok(());
        }
        toml::Value::Array(items) => {
            let items: Result<Vec<String>, String> =
                items.into_iter().map(|item| scalar(name, item)).collect();
            items?.join(",")
        }
        value => scalar(name, value)?,
    };
    into.push((name.to_owned(), text));
    Ok(())
}

fn scalar(name: &str, value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        _ => Err(format!("{name} has a value that is neither text, number, flag nor a list of them")),
    }
}

/// Names and values of Java's format, without its Unicode escapes.
fn java_properties(text: &str) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut whole = line.trim_start().to_owned();
        if whole.is_empty() || whole.starts_with(['#', '!']) {
            continue;
        }
        while whole.ends_with('\\') {
            whole.pop();
            match lines.next() {
                Some(next) => whole.push_str(next.trim_start()),
                None => break,
            }
        }
        let end = whole.find(['=', ':', ' ', '\t']).unwrap_or(whole.len());
        let (name, value) = whole.split_at(end);
        let value = value.trim_start().trim_start_matches(['=', ':']).trim();
        properties.push((name.to_owned(), value.replace("\\\\", "\\")));
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Vec<(String, String)>, Error> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        read_properties(&path)
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn toml_and_java_say_the_same() {
        let toml = "listeners = [\"PLAINTEXT://:1\", \"SSL://:2\"]\nlog.retention.ms = 5\n[users]\n\"a.b\" = \"x\"\n";
        let java =
            "# comment\nlisteners=PLAINTEXT://:1,\\\n   SSL://:2\nlog.retention.ms : 5\nusers.a.b x\n\n";
        let expected =
            pairs(&[("listeners", "PLAINTEXT://:1,SSL://:2"), ("log.retention.ms", "5"), ("users.a.b", "x")]);
        assert_eq!(read("server.toml", toml).unwrap(), expected);
        assert_eq!(read("server.properties", java).unwrap(), expected);
    }

    #[test]
    fn a_malformed_file_is_named() {
        let refused = read("server.toml", "a = ").unwrap_err().to_string();
        assert!(refused.contains("server.toml"), "{refused}");
        assert!(read("server.toml", "a = 1979-05-27").is_err());
    }
}
