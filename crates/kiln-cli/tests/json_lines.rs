//! The contract of `kiln eval --json-lines`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use support::{command, kiln_with};

/// The answers to these lines.
fn ask(lines: &[&str]) -> Vec<Value> {
    let outcome = kiln_with(&["eval", "--json-lines"], (lines.join("\n") + "\n").as_bytes());
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A request and the fields of its answer beside the id.
fn values() -> Vec<(&'static str, Value)> {
    let answer = |ty: &str, value: &str, bits: &str| json!({ "type": ty, "value": value, "bits": bits });
    vec![
        (
            r#""formula":"x/y","type":"f64","params":["x","y"],"inputs":{"x":"1.5","y":"bits:4008000000000000"}"#,
            answer("f64", "0.5", "3fe0000000000000"),
        ),
        (
            r#""formula":"n + 1","type":"i64","inputs":{"n":9007199254740993}"#,
            answer("i64", "9007199254740994", "0020000000000002"),
        ),
        (
            r#""formula":"n","type":"i64","inputs":{"n":-9223372036854775808}"#,
            answer("i64", "-9223372036854775808", "8000000000000000"),
        ),
        (r#""formula":"n","type":"i32","inputs":{"n":-1}"#, answer("i32", "-1", "ffffffff")),
        (
            r#""formula":"n * x","params":["n: i32","x"],"inputs":{"n":2,"x":0.25}"#,
            answer("f64", "0.5", "3fe0000000000000"),
        ),
        (r#""formula":"x","type":"f32","inputs":{"x":"0.1"}"#, answer("f32", "0.1", "3dcccccd")),
        (r#""formula":"a and not b","inputs":{"a":true,"b":"false"}"#, answer("bool", "true", "1")),
        (r#""formula":"x","inputs":{"x":"-inf"}"#, answer("f64", "-inf", "fff0000000000000")),
        (r#""formula":"x","inputs":{"x":"-0"}"#, answer("f64", "-0", "8000000000000000")),
        (r#""formula":"x","inputs":{"x":1e2}"#, answer("f64", "100", "4059000000000000")),
        (r#""formula_b64":"eCsx","inputs":{"x":1,"unused":"?"}"#, answer("f64", "2", "4000000000000000")),
        (
            r#""formula":"x","engine":"interp","level":null,"fast":false,"inputs":{"x":1}"#,
            answer("f64", "1", "3ff0000000000000"),
        ),
        (r#""formula":"x","level":"v1","checked":true,"type":"i32","inputs":{"x":1}"#, answer("i32", "1", "00000001")),
    ]
}

#[test]
fn values_come_with_type_and_bits() {
    let cases = values();
    let lines: Vec<String> =
        cases.iter().enumerate().map(|(id, (request, _))| format!("{{\"id\":{id},{request}}}")).collect();
    let answers = ask(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(answers.len(), cases.len());
    for (id, ((request, expected), mut answer)) in cases.into_iter().zip(answers).enumerate() {
        let got = answer.as_object_mut().unwrap().remove("id").unwrap();
        assert_eq!((got, &answer), (json!(id), &expected), "{request}");
    }
}

#[test]
fn the_answer_is_written_as_documented() {
    let request =
        br#"{"id":1,"formula":"x/y","type":"f64","params":["x","y"],"inputs":{"x":"1.5","y":"bits:4008000000000000"}}"#;
    let outcome = kiln_with(&["eval", "--json-lines"], request);
    assert_eq!(outcome.out, "{\"id\":1,\"type\":\"f64\",\"value\":\"0.5\",\"bits\":\"3fe0000000000000\"}\n");
}

/// A bad line and what its answer has: id, code.
const BAD: &[(&str, &str, &str)] = &[
    ("garbage", "null", "input"),
    ("", "null", "input"),
    ("[1]", "null", "input"),
    ("{\"id\":1", "null", "input"),
    ("{\"id\":1}", "1", "input"),
    ("{\"id\":\"a\",\"formula\":7}", "\"a\"", "input"),
    ("{\"id\":2,\"formula\":\"x\",\"formula_b64\":\"eA==\"}", "2", "input"),
    ("{\"id\":3,\"formula_b64\":\"?\"}", "3", "input"),
    ("{\"id\":4,\"formula_b64\":\"/w==\"}", "4", "utf8"),
    ("{\"id\":5,\"formula\":\"x +\"}", "5", "syntax"),
    ("{\"id\":6,\"formula\":\"x\"}", "6", "input"),
    ("{\"id\":7,\"formula\":\"x\",\"inputs\":{\"x\":[1]}}", "7", "input"),
    ("{\"id\":8,\"formula\":\"x\",\"inputs\":{\"x\":1.5},\"type\":\"i32\"}", "8", "input"),
    ("{\"id\":9,\"formula\":\"x\",\"inputs\":{\"x\":9223372036854775808},\"type\":\"i64\"}", "9", "input"),
    ("{\"id\":10,\"formula\":\"x\",\"type\":\"i33\"}", "10", "input"),
    ("{\"id\":11,\"formula\":\"x\",\"level\":4}", "11", "input"),
    ("{\"id\":12,\"formla\":\"x\"}", "12", "input"),
    ("{\"id\":13,\"formula\":\"lgo(1)\"}", "13", "unknown-function"),
    (
        "{\"id\":14,\"formula\":\"n // m\",\"type\":\"i32\",\"checked\":true,\"inputs\":{\"n\":1,\"m\":0}}",
        "14",
        "division-by-zero",
    ),
    ("{\"id\":15,\"formula\":\"1 \\u0000 2\"}", "15", ""),
    ("{\"id\":16,\"formula\":\"x + y\",\"params\":[\"x\"]}", "16", "unknown-name"),
];

#[test]
fn bad_lines_are_answered_and_the_next_is_read() {
    let good = r#"{"id":99,"formula":"1 + 1"}"#;
    let lines: Vec<&str> = BAD.iter().flat_map(|(line, ..)| [*line, good]).collect();
    let answers = ask(&lines);
    assert_eq!(answers.len(), lines.len());
    for ((line, id, code), answers) in BAD.iter().zip(answers.chunks(2)) {
        assert_eq!(answers[0]["id"].to_string(), *id, "{line}");
        let error = &answers[0]["error"];
        let got = error["code"].as_str().unwrap_or_else(|| panic!("{line}: {}", answers[0]));
        assert!(got.split('/').next() == Some(code) || code.is_empty(), "{line}: {error}");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty() && m.len() < 500), "{line}: {error}");
        assert_eq!(answers[1]["value"], "2", "after {line}");
    }
}

#[test]
fn messages_are_short_and_plain_whatever_they_quote() {
    let long = "\\u001b".repeat(1000);
    let request = format!("{{\"formula\":\"x\",\"inputs\":{{\"x\":\"{long}\"}}}}");
    let answer = &ask(&[&request])[0];
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.len() < 500 && !message.contains('\u{1b}'), "{message}");
}

#[test]
fn errors_have_places_in_bytes_and_help() {
    let answer = &ask(&[r#"{"id":1,"formula":"1 + lgo(π)"}"#])[0];
    assert_eq!(answer["error"]["span"], json!([4, 7]), "{answer}");
    assert!(answer["error"]["help"].as_str().unwrap().contains("log"), "{answer}");
}

#[test]
fn bytes_that_are_not_text_and_long_lines_are_answered() {
    let mut input = b"{\"id\":1,\"formula\":\"\xff\"}\n\0\0\0\n".to_vec();
    input.extend(format!("{{\"id\":2,\"formula\":\"{}\"}}\n", "(".repeat(3_000_000)).bytes());
    input.extend(format!("{}\n", "[".repeat(1_000_000)).bytes());
    // The last line has no end.
    input.extend(b"{\"id\":3,\"formula\":\"1 + 1\"}");
    let outcome = kiln_with(&["eval", "--json-lines"], &input);
    let answers: Vec<Value> = outcome.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 5, "{}", outcome.err);
    assert_eq!(answers[0]["error"]["code"], "input");
    assert_eq!(answers[1]["error"]["code"], "input");
    assert!(answers[2]["error"]["code"].is_string());
    assert_eq!(answers[3]["error"]["code"], "input");
    assert_eq!(answers[4]["value"], "2");
}

#[test]
fn each_answer_comes_before_the_next_request() {
    let mut child =
        command().args(["eval", "--json-lines"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for id in 0..100 {
        writeln!(input, "{{\"id\":{id},\"formula\":\"x * 2\",\"inputs\":{{\"x\":{id}}}}}").unwrap();
        input.flush().unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&answer["id"], answer["value"].as_str()), (&json!(id), Some((2 * id).to_string().as_str())));
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}
