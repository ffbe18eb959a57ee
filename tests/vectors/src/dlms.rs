//! DLMS: HDLC frames, APDUs, values by themselves. The rows are literals of another library's unit
//! tests, whose assertions stand in them as text; those about the bytes are checked here by the
//! name of the test.

use crate::row::Comparison;
use crate::{Checked, Protocol, Row};
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{AesGcm, aes::Aes128};
use polymeter_codec::dlms::acse::{Association, User};
use polymeter_codec::dlms::wrapper;
use polymeter_codec::dlms::{Apdu, Ciphered, Data, GetResponse, nonce};
use polymeter_codec::hdlc::{self, Frame, without_llc};
use polymeter_codec::{Decoded, Malformed};

pub const PROTOCOL: Protocol = Protocol { name: "dlms", file: "dlms.jsonl", check, explained: &[] };

fn check(row: &Row) -> Result<Checked, String> {
    let bytes = row.bytes("frame_hex")?;
    match row.text("kind") {
        "hdlc" => frame(row, &bytes),
        "fragment" => header(row, &bytes),
        _ => apdu(row, &bytes),
    }
}

fn frame(row: &Row, bytes: &[u8]) -> Result<Checked, String> {
    let frame = match hdlc::decode(bytes) {
        Decoded::Frame { frame, used } if used == bytes.len() => frame,
        other => return Err(format!("not decoded: {other:?}")),
    };
    let mut again = vec![0; bytes.len()];
    if frame.encode(&mut again) != Ok(bytes.len()) || again != bytes {
        return Err("encoded again it is another frame".to_owned());
    }
    let published = row.derived("hdlc");
    let address = |address: hdlc::Address| {
        let (wire, used) = address.wire();
        hex::encode_upper(&wire[..used])
    };
    let Frame { segmented, destination, source, information, .. } = frame;
    let mut compared = Comparison::default();
    compared.same("length", &published["length"], bytes.len() - 2);
    compared.same("segmented", &published["segmented"], segmented);
    compared.same("destination", &published["dest"], address(destination));
    compared.same("source", &published["src"], address(source));
    let control = bytes[3 + destination.wire().1 + source.wire().1];
    compared.same("control", &published["control"], format!("{control:02X}"));
    compared.same("information", &published["information"], hex::encode_upper(information));
    if let Some(apdu) = without_llc(information) {
        Apdu::decode(apdu).map_err(|error| format!("the APDU inside: {error}"))?;
    }
    Ok(compared.decoded())
}

fn header(row: &Row, bytes: &[u8]) -> Result<Checked, String> {
    let published = &row.derived("wrapper")["length"];
    let Decoded::NeedMore { at_least } = wrapper::decode(bytes) else {
        return Err("a header alone is no frame".to_owned());
    };
    let mut compared = Comparison::default();
    compared.same("length", published, at_least - bytes.len());
    Ok(compared.decoded())
}

fn apdu(row: &Row, bytes: &[u8]) -> Result<Checked, String> {
    let test = row.expected("test").as_str().unwrap_or_default();
    if test.starts_with("global_") {
        return Ok(Checked::Left("a key"));
    }
    if test == "TestGetRequestFactory.test_get_with_list" {
        // A list of none and three more bytes, of which that test only wants the class of the list.
        return match Apdu::decode(bytes) {
            Err(error) if error.at == 4 => Ok(Checked::Refused(error.to_string())),
            other => Err(format!("a list of none and more bytes: {other:?}")),
        };
    }
    let mut compared = Comparison::default();
    // Values by themselves, the first with one byte of what stands before it.
    let value = match test {
        "TestAxdrDecoder.test_decode_array_and_structure" => Some((&bytes[1..], 24)),
        "test_parse_data_from_kamstrup_han_port" => Some((bytes, 25)),
        "TestDataNotification.test_transform_bytes" => Some((bytes, 34)),
        "set_request" => Some((&bytes[..bytes.len()], 12)),
        _ => None,
    };
    if let Some((bytes, length)) = value {
        let data = Data::decode(bytes).map_err(|error| error.to_string())?;
        compared.same("elements", &length.into(), elements(&data));
        return Ok(compared.decoded());
    }
    let decoded = Apdu::decode(bytes);
    let raises = !row.expected("raises").is_null();
    match decoded {
        // The other library's class for one kind of APDU was given another: some of these are
        // APDUs of that other kind, some are none at all.
        Err(error) if raises => Ok(Checked::Refused(error.to_string())),
        Err(error) => Err(error.to_string()),
        Ok(apdu) => {
            compared.same("kind", row.derived("apdu_tag"), tag(&apdu));
            asserted(test, &apdu, &mut compared)?;
            cut_short(bytes)?;
            Ok(compared.decoded())
        }
    }
}

fn cut_short(bytes: &[u8]) -> Result<(), String> {
    let whole = |cut: &usize| Apdu::decode(&bytes[..*cut]).is_ok();
    match (0..bytes.len()).find(whole) {
        Some(cut) => Err(format!("cut to {cut} bytes it is an APDU too")),
        None => Ok(()),
    }
}

fn elements(data: &Data<'_>) -> usize {
    match data {
        Data::Array(list) | Data::Structure(list) => list.iter().count(),
        Data::Octets(bytes) | Data::Visible(bytes) => bytes.len(),
        _ => 1,
    }
}

/// The kind of an APDU by the name that the rows give it.
fn tag(apdu: &Apdu<'_>) -> &'static str {
    match apdu {
        Apdu::InitiateRequest(_) => "InitiateRequest",
        Apdu::InitiateResponse(_) => "InitiateResponse",
        Apdu::DataNotification(_) => "DataNotification",
        Apdu::Aarq(_) => "AARQ",
        Apdu::Aare(_) => "AARE",
        Apdu::Rlrq(_) => "RLRQ",
        Apdu::Rlre(_) => "RLRE",
        Apdu::GetRequest(_) => "GetRequest",
        Apdu::SetRequest(_) => "SetRequest",
        Apdu::ActionRequest(_) => "ActionRequest",
        Apdu::GetResponse(_) => "GetResponse",
        Apdu::SetResponse(_) => "SetResponse",
        Apdu::ActionResponse(_) => "ActionResponse",
        Apdu::Ciphered(Ciphered { tag: 0x21, .. }) => "GloInitiateRequest",
        Apdu::Ciphered(Ciphered { tag: 0xC8, .. }) => "GloGetRequest",
        Apdu::Ciphered(Ciphered { tag: 0xCC, .. }) => "GloGetResponse",
        _ => "another",
    }
}

/// What the assertions of the other library's test say of the bytes.
fn asserted(test: &str, apdu: &Apdu<'_>, compared: &mut Comparison) -> Result<(), String> {
    match (test, apdu) {
        ("test_data_notification_apdu", Apdu::DataNotification(notification)) => {
            compared.same("time", &true.into(), notification.time.is_none());
        }
        ("test_decode_long", Apdu::GetResponse(GetResponse::Block { number, .. })) => {
            compared.same("block", &1.into(), number);
        }
        (
            "TestGetResponseWithList.test_compound_objects_parsed_correctly",
            Apdu::GetResponse(GetResponse::Several { results, .. }),
        ) => compared.same("results", &9.into(), results.iter().count()),
        (
            "TestInitiateResponse.test_decode_with_non_default_quality",
            Apdu::InitiateResponse(response),
        ) => compared.same("quality", &0.into(), response.quality.unwrap_or(0xFF)),
        ("TestInitiateRequest.test_decode_with_dedicated_key", Apdu::InitiateRequest(request)) => {
            let key = request.dedicated_key.map(hex::encode_upper).unwrap_or_default();
            compared.same("key", &"00112233445566778899AABBCCDDEEFF".into(), key);
        }
        (_, Apdu::Aare(association)) => aare(test, association, compared),
        (_, Apdu::Rlre(association) | Apdu::Rlrq(association)) => {
            compared.same("reason", &0.into(), association.reason.unwrap_or(0xFF));
            if let Some(User::Ciphered(ciphered)) = association.user {
                opened(&ciphered, compared)?;
            }
        }
        (_, Apdu::Ciphered(ciphered)) if ciphered.tag == 0x21 => opened(ciphered, compared)?,
        _ => {}
    }
    Ok(())
}

fn aare(test: &str, association: &Association<'_>, compared: &mut Comparison) {
    let (result, diagnostic, mechanism) = match test {
        "TestDecodeAARE.test_no_ciphering_no_security_app_context_name_wrong" => (1, 2, None),
        "TestDecodeAARE.test_no_ciher_hls_ok" => (0, 14, Some(5)),
        _ => (0, 0, None),
    };
    compared.same("ciphered", &false.into(), association.context == Some(3));
    compared.same("result", &result.into(), association.result.unwrap_or(0xFF));
    compared.same("diagnostic", &diagnostic.into(), association.diagnostic.unwrap_or(0xFF));
    compared.same("mechanism", &mechanism.into(), format_of(association.mechanism));
    let agreed = matches!(association.user, Some(User::Response(_)));
    compared.same("user information", &true.into(), agreed);
}

fn format_of(number: Option<u8>) -> String {
    number.map_or("null".to_owned(), |number| number.to_string())
}

/// The example of the Green Book: its keys, title and counter open what is ciphered, and what comes
/// out is the request with a dedicated key that another row has in the clear.
fn opened(ciphered: &Ciphered<'_>, compared: &mut Comparison) -> Result<(), String> {
    let key: [u8; 16] = std::array::from_fn(|nth| u8::try_from(nth).unwrap_or(0));
    let authentication_key: [u8; 16] =
        std::array::from_fn(|nth| 0xD0 + u8::try_from(nth).unwrap_or(0));
    let associated = [&[ciphered.control.0][..], &authentication_key].concat();
    let nonce = nonce(*b"MMM\x00\x00\xBC\x61\x4E", ciphered.counter);
    let payload = Payload { msg: ciphered.payload, aad: &associated };
    let opened = AesGcm::<Aes128, U12, U12>::new(&key.into())
        .decrypt(&nonce.into(), payload)
        .map_err(|_| "the tag is wrong".to_owned())?;
    let inside = Apdu::decode(&opened).map_err(|error: Malformed| error.to_string())?;
    compared.same("what is inside", &"InitiateRequest".into(), tag(&inside));
    let clear = "01011000112233445566778899AABBCCDDEEFF0000065F1F0400007E1F04B0";
    compared.same("opened", &clear.into(), hex::encode_upper(&opened));
    Ok(())
}
