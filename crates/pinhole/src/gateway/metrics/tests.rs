use super::*;

#[test]
fn requests_that_are_answered_and_those_that_are_not() {
    for (head, expected) in [
        ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Some(Ok(Method::Get))),
        ("GET /metrics?name[]=x HTTP/1.0\r\n\r\n", Some(Ok(Method::Get))),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", Some(Ok(Method::Head))),
        ("GET / HTTP/1.1\r\n\r\n", Some(Err("404 Not Found"))),
        ("POST /metrics HTTP/1.1\r\n\r\n", Some(Err("405 Method Not Allowed"))),
        ("GET /metrics HTTP/1.1\r\nHost", None),
        ("", None),
        ("\0\0\0", Some(Err("400 Bad Request"))),
        ("GET /metrics SPDY/3\r\n\r\n", Some(Err("400 Bad Request"))),
    ] {
        assert_eq!(judge(head.as_bytes()), expected, "{head:?}");
    }
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(LONGEST_HEAD));
    assert_eq!(judge(long.as_bytes()), Some(Err("431 Request Header Fields Too Large")));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MOST_FIELDS + 1));
    assert_eq!(judge(many.as_bytes()), Some(Err("431 Request Header Fields Too Large")));
}

proptest::proptest! {
    #[test]
    fn anything_is_judged(head in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let _ = judge(&head);
    }
}
