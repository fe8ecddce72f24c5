//! The users of Kafka's `sasl.jaas.config`: `… PlainLoginModule required user_NAME="PASSWORD" …;`.

/// Users and passwords of the text.
///
/// # Errors
/// A sentence if the text is not that of a login module with users.
pub(super) fn users(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut rest = text.trim().trim_end_matches(';');
    let module = take_word(&mut rest);
    if !module.ends_with("PlainLoginModule") && !module.ends_with("ScramLoginModule") {
        return Err(format!("{module:?} is neither PlainLoginModule nor ScramLoginModule"));
    }
    let flag = take_word(&mut rest);
    if !matches!(flag, "required" | "requisite" | "sufficient" | "optional") {
        return Err(format!("{flag:?} stands where `required` is expected"));
    }
    let mut users = Vec::new();
    while !rest.trim_start().is_empty() {
        let (option, after) = rest.split_once('=').ok_or("an option has no value")?;
        let (value, after) = take_value(after.trim_start())?;
        // `username` and `password` are what a broker calls others with; there are none here.
        if let Some(user) = option.trim().strip_prefix("user_") {
            users.push((user.to_owned(), value));
        }
        rest = after;
    }
    Ok(users)
}

fn take_word<'a>(rest: &mut &'a str) -> &'a str {
    let trimmed = rest.trim_start();
    let end = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
    *rest = &trimmed[end..];
    &trimmed[..end]
}

/// A value in quotes, in which a backslash takes the next character as it is, or one word.
fn take_value(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let mut rest = text;
        return Ok((take_word(&mut rest).to_owned(), rest));
    };
    let (mut value, mut chars) = (String::new(), quoted.char_indices());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            char => value.push(char),
        }
    }
    Err("a value's quotes are not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found() {
        let text = "org.apache.kafka.common.security.plain.PlainLoginModule required \\
                    username=\"admin\" password=\"x\" user_admin=\"ad min\" user_alice=\"a\\\"b;\" ;";
        let text = text.replace("\\\n", "");
        let expected = [("admin", "ad min"), ("alice", "a\"b;")];
        assert_eq!(
            users(&text).unwrap(),
            expected.map(|(user, password)| (user.to_owned(), password.to_owned()))
        );
        for wrong in [
            "",
            "x.Krb5LoginModule required;",
            "PlainLoginModule user_a=b",
            "PlainLoginModule required user_a=\"b",
        ] {
            assert!(users(wrong).is_err(), "{wrong}");
        }
    }
}
