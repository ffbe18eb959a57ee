//! A token explained without a key: its class, and all that one of class 1 says.

use polymeter_codec::sts::{Class, Content, Test, Token};
use polymeter_driver::{Explanation, Value};

pub fn explain(frame: &[u8]) -> Result<Explanation, String> {
    let text = std::str::from_utf8(frame).map_err(|_| "a token is twenty digits".to_owned())?;
    let token = Token::from_digits(text.trim()).map_err(|error| error.to_string())?;
    let mut extras = vec![
        ("class".to_owned(), Value::Text(token.class().number().to_string())),
        ("meaning".to_owned(), Value::Text(meaning(token.class()).to_owned())),
    ];
    if token.class() == Class::Test {
        let content = Content::of(Class::Test, token.block()).map_err(|error| error.to_string())?;
        if let Content::Test(test) = content {
            let (control, vendor) = match test {
                Test::Short { control, vendor } => (control, u16::from(vendor)),
                Test::Long { control, vendor } => (u64::from(control), vendor),
            };
            extras.push(("control".to_owned(), Value::Text(format!("{control:X}"))));
            extras.push(("vendor".to_owned(), Value::Text(vendor.to_string())));
        }
    }
    Ok(Explanation { address: String::new(), measurements: Vec::new(), extras })
}

fn meaning(class: Class) -> &'static str {
    match class {
        Class::Credit => "credit, encrypted for one meter",
        Class::Test => "test or display, the same for all meters",
        Class::Engineering => "an order to one meter, encrypted",
        Class::Reserved => "reserved",
    }
}
