use super::*;

fn in_div(inner: &str) -> String {
    format!("<div xmlns=\"{XHTML}\">{inner}</div>")
}

#[test]
fn the_lists_are_sorted() {
    assert!(ELEMENTS.is_sorted());
    assert!(ATTRIBUTES.is_sorted());
}

#[test]
fn formatted_text_is_accepted() {
    let cases = [
        "a",
        "<p>a</p>",
        "<img src=\"#p1\" alt=\"a\"/>",
        "a<br/>b",
        "a<br />",
        "<!-- c -->a",
        "<a href=\"http://a/?b&amp;c\">a</a>",
        "<a href='Patient/1'>a</a>",
        "&lt; &#160; &#xA0; &nbsp;",
        "<span style=\"color: red; width: 3px\">a</span>",
        "<td style=\"background: white url(tbl_bck10.png)\">a</td>",
        "<td style=\"background: url('data:image/png;base64,AA==')\">a</td>",
        "<a href=\"mailto:a@b.c\">a</a>",
        "<img src=\"data:image/png;base64,AAAA\"/>",
        "<img src=\"Binary/1\"/><img src=\"/fhir/Binary/1?a=b&amp;c\"/>",
        // R4 asks for content (txt-2), but publishes examples without.
        "",
        "<p/>",
        "<td colspan=\"2\" nowrap='nowrap'>x</td>",
        "<a\n href=\"#a:b\"\n>x</a >",
    ];
    for inner in cases {
        if let Err(fault) = check(&in_div(inner)) {
            panic!("{inner}: {}", fault.sentence);
        }
    }
}

#[test]
fn active_content_is_refused() {
    let cases = [
        "<script>a</script>",
        "<p onclick=\"a()\">a</p>",
        "<a href=\"javascript:a()\">a</a>",
        "<a href=\" JavaScript:a()\">a</a>",
        "<a href=\"java&#10;script:a()\">a</a>",
        "<a href=\"&#106;avascript&#58;a()\">a</a>",
        "<img src=\"data:text/html,a\"/>",
        "<a href=\"data:text/html,a\">a</a>",
        "<form>a</form>",
        "<iframe src=\"http://a\">a</iframe>",
        "<object>a</object>",
        "<style>a</style>",
        "<p style=\"background: url(http://a)\">a</p>",
        "<p style=\"background: url(a.png), URL( '//a/b.png')\">a</p>",
        "<p style=\"background: url(data:text/html,a)\">a</p>",
        "<p style=\"background: url(&quot;https://a&quot;)\">a</p>",
        "<p style=\"width: expression(a)\">a</p>",
        "<SCRIPT>a</SCRIPT>",
        "<svg onload=\"a\"/>",
        "<p xmlns=\"http://www.w3.org/2000/svg\">a</p>",
        "<input type=\"text\"/>",
        "<x:script xmlns:x=\"a\">a</x:script>",
        "<a href=\"vbscript:a\">a</a>",
        "<base href=\"http://a\"/>",
        "<img src=\"http://a/b.png\"/>",
        "<img src=\"HTTPS://a/b.png\"/>",
        "<img src=\"//a/b.png\"/>",
        "<img src=\" /\\a/b.png\"/>",
        "<img src=\"/&#47;a/b.png\"/>",
        "<img src=\"&sol;/a/b.png\"/>",
        "<!--[if IE]><script>a</script><![endif]-->",
        "<!-- [IF gte mso 9]>a<![endif]-->",
        "<!--><script>a</script>-->",
    ];
    for inner in cases {
        assert!(
            check(&in_div(inner)).is_err_and(|fault| fault.code == "invariant"),
            "{inner}"
        );
    }
    assert!(check("<div>a</div>").is_err());
}

#[test]
fn what_is_not_well_formed_is_refused() {
    let cases = [
        "a",
        "<div",
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">",
        "<p>a</p>",
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>b",
        "<div xmlns=\"http://www.w3.org/1999/xhtml\">a",
        "<divx xmlns=\"http://www.w3.org/1999/xhtml\">a</divx>",
    ];
    for text in cases {
        assert!(check(text).is_err(), "{text}");
    }
    let inner = [
        "<p>a",
        "a</p>",
        "<b><i>a</b></i>",
        "a & b",
        "&bad entity;",
        "<br>",
        "<p a>b</p>",
        "<p class=a>b</p>",
        "<![CDATA[a]]>",
        "<!DOCTYPE a>",
        "<?a ?>",
        "<!-- a",
        "<!-- a -- b -->a",
        "<!-- a --->a",
        "<p class=\"<\">a</p>",
        "&#0;a",
        "<p class=\"a\"id=\"b\">a</p>",
    ];
    for inner in inner {
        assert!(
            check(&in_div(inner)).is_err_and(|fault| fault.code == "value"),
            "{inner}"
        );
    }
}

#[test]
fn deep_nesting_ends() {
    let deep = format!("{}a{}", "<b>".repeat(100_000), "</b>".repeat(100_000));
    assert!(check(&in_div(&deep)).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_check_panic(
        text in "\\PC{0,60}",
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "<", ">", "/", "</", "/>", "b", "div", "p", " ", "=", "\"", "'", "style", "href",
                "&", ";", "#", "x41", "<!--", "-->", "url(", ")", ":", "ä", "data", "http",
            ]),
            0..40,
        ),
    ) {
        let _ = check(&text);
        let _ = check(&in_div(&pieces.concat()));
        let _ = check(&in_div(&format!("<p style=\"{}\">a</p>", pieces.concat())));
        let _ = check(&in_div(&format!("<a {}>a</a>", pieces.concat())));
    }
}
