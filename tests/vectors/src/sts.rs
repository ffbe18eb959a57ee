//! STS tokens, from the vending key of the conformance tests to the twenty digits.
//!
//! Tokens of EA07 need tables that are the STS Association's (ADR 0032). Where a file of them lies
//! beside the vectors (`sta_tables.json`: `substitutions`, two lists of 16, and `permutation`, one
//! of 64), their digits are checked too; where not, they are checked up to the cipher and left.

use crate::row::Comparison;
use crate::{Checked, Protocol, Row};
use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use hmac::{Hmac, Mac as _};
use polymeter_codec::sts::decoder_key::{Cipher, Group, KeyType, Origin, Pan, dkga02_key};
use polymeter_codec::sts::misty1::Misty1;
use polymeter_codec::sts::sta::Tables;
use polymeter_codec::sts::{
    Amount, BaseDate, Content, Engineering, Issued, KeySection, Order, Test, Token, TokenId,
};
use serde_json::Value;
use sha2::Sha256;

pub const PROTOCOL: Protocol =
    Protocol { name: "sts", file: "sts_tokens.jsonl", check, explained: &[] };

fn check(row: &Row) -> Result<Checked, String> {
    let token = Token::from_digits(row.text("token")).map_err(|error| error.to_string())?;
    let clear = hex::decode(text(row.expected("block64_hex"))?).map_err(|why| why.to_string())?;
    let clear = u64::from_be_bytes(clear.try_into().map_err(|_| "a block has 8 bytes")?);
    let content = Content::of(token.class(), clear).map_err(|error| error.to_string())?;
    if content.block() != Ok(clear) {
        return Err("written again it is another block".to_owned());
    }
    let mut compared = Comparison::default();
    compared.same("digits", row.expected("token"), token.digits().as_str());
    compared.same("class", row.expected("class"), token.class().number());
    compared.same("sub-class", row.expected("subclass"), clear >> 60);
    fields(row, &content, &mut compared)?;
    let whole = if token.class().is_encrypted() {
        let key = derived(row, &mut compared)?;
        match (<[u8; 8]>::try_from(&key[..]), <[u8; 16]>::try_from(&key[..])) {
            (Ok(key), _) => tables()?.map(|tables| tables.encrypt(u64::from_be_bytes(key), clear)),
            (_, Ok(key)) => {
                let key = Misty1::new(&key);
                if key.decrypt(token.block()) != clear {
                    return Err("decrypted it is another block".to_owned());
                }
                Some(key.encrypt(clear))
            }
            _ => return Err(format!("a decoder key of {} bytes", key.len())),
        }
    } else {
        Some(clear)
    };
    let Some(carried) = whole else {
        if let Some(difference) = compared.differences.first() {
            return Err(difference.clone());
        }
        return Ok(Checked::Left("EA07: checked up to the cipher, no sta_tables.json"));
    };
    let made = Token::new(content.class(), carried);
    compared.same("token made", row.expected("token"), made.digits().as_str());
    Ok(compared.decoded())
}

fn text(json: &Value) -> Result<&str, String> {
    json.as_str().ok_or_else(|| format!("{json} is no text"))
}

fn number(json: &Value) -> Result<u8, String> {
    let number = json.as_u64().and_then(|number| u8::try_from(number).ok());
    number.ok_or_else(|| format!("{json} is no small number"))
}

/// The tables of EA07, if somebody laid them beside the vectors.
fn tables() -> Result<Option<Tables>, String> {
    let Some(path) = crate::folder().map(|folder| folder.join("sta_tables.json")) else {
        return Ok(None);
    };
    let Ok(file) = std::fs::read_to_string(path) else { return Ok(None) };
    let json: Value = serde_json::from_str(&file).map_err(|why| why.to_string())?;
    let numbers = |json: &Value| -> Result<Vec<u8>, String> {
        json.as_array().ok_or("a table is a list")?.iter().map(number).collect()
    };
    let table = |nth: usize| -> Result<[u8; 16], String> {
        let numbers = numbers(&json["substitutions"][nth])?;
        numbers.try_into().map_err(|_| "a substitution has 16 numbers".to_owned())
    };
    let permutation = numbers(&json["permutation"])?;
    let permutation = permutation.try_into().map_err(|_| "the permutation has 64 numbers")?;
    let tables = Tables::new([table(0)?, table(1)?], permutation);
    tables.map(Some).map_err(|error| error.to_string())
}

/// The decoder key of a row, derived from its vending key and held to the published one.
fn derived(row: &Row, compared: &mut Comparison) -> Result<Vec<u8>, String> {
    let published = row.expected("key_params");
    let types = [KeyType::Initialization, KeyType::Default, KeyType::Unique, KeyType::Common];
    let key_type =
        types.get(usize::from(number(&published["kt"])?)).ok_or("a key type is 0 to 3")?;
    let group = Group {
        supply_group: text(&published["sgc"])?.parse().map_err(|_| "a supply group")?,
        tariff_index: text(&published["ti"])?.parse().map_err(|_| "a tariff index")?,
        revision: number(&published["krn"])?,
        key_type: *key_type,
    };
    let pan = Pan::from_digits(text(&published["pan"])?).ok_or("a wrong check digit")?;
    let origin = Origin::new(pan, group).map_err(|error| error.to_string())?;
    let vending_key = hex::decode(text(&published["vk"])?).map_err(|why| why.to_string())?;
    let cipher = if published["ea"] == "07" { Cipher::Sta } else { Cipher::Misty1 };
    let key = if published["dkga"] == "02" {
        let vending_key: [u8; 8] = vending_key.try_into().map_err(|_| "a DES key has 8 bytes")?;
        let block = origin.dkga02_block();
        let mut encrypted = block.into();
        Des::new(&vending_key.into()).encrypt_block(&mut encrypted);
        dkga02_key(block, encrypted.into(), &vending_key).to_vec()
    } else {
        let year = text(&published["bd_key"])?;
        let base = BaseDate::ALL.into_iter().find(|base| base.year().to_string() == year);
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&vending_key).map_err(|why| why.to_string())?;
        mac.update(&origin.dkga04_record(base.ok_or("a base date")?, cipher));
        mac.finalize().into_bytes()[..cipher.key_bytes()].to_vec()
    };
    compared.same("decoder key", &published["dk"], hex::encode(&key));
    Ok(key)
}

fn fields(row: &Row, content: &Content, compared: &mut Comparison) -> Result<(), String> {
    let published = row.expected("fields");
    match *content {
        Content::Credit(credit) => {
            numbered(row, credit.id, credit.random, compared)?;
            let raw = format!("{:04x}", credit.amount.raw());
            compared.same("amount field", &published["amount_field_hex"], raw);
            let (whole, tenth) = (credit.amount.units() / 10, credit.amount.units() % 10);
            compared.same("amount", &published["amount"], format!("{whole}.{tenth}"));
            if let Some(asked) = row.get("source_context")["amounts"][0].as_str() {
                compared.same("rounded up", &credit.amount.raw().into(), at_least(asked)?);
            }
        }
        Content::Engineering(Engineering { order, random, id }) => {
            numbered(row, id, random, compared)?;
            let raw = match order {
                Order::MaxPower(watts) | Order::MaxPhaseUnbalance(watts) => watts.raw(),
                Order::ClearCredit(raw) | Order::TariffRate(raw) | Order::WaterFactor(raw) => raw,
                Order::ClearTamper => 0,
            };
            compared.same("field", &published["field_hex"], format!("{raw:04x}"));
            if let Some(watts) = row.get("source_context")["mpl"][0].as_str() {
                let watts = watts.parse().map_err(|_| "a power in W")?;
                let least = Amount::at_least(watts).ok_or("a power that fits")?;
                compared.same("rounded up", &raw.into(), least.raw());
            }
        }
        Content::Test(Test::Short { control, vendor }) => {
            let bits = control << 8 | u64::from(vendor);
            compared.same("control", &published["control_mfr_44bits"], format!("{bits:011x}"));
        }
        Content::Test(Test::Long { control, vendor }) => {
            let bits = u64::from(control) << 16 | u64::from(vendor);
            compared.same("control", &published["control_mfr_44bits"], format!("{bits:011x}"));
        }
        Content::Key(section) => key_section(published, section, compared),
        Content::CurrencyCredit(_) => return Err("no published token is of money".to_owned()),
    }
    Ok(())
}

fn key_section(published: &Value, section: KeySection, compared: &mut Comparison) {
    let part = format!("{:08x}", section.part());
    let at = if section.sub_class() >= 8 {
        "nkmo"
    } else {
        ["nkho", "nklo"][usize::from(section.sub_class() - 3)]
    };
    compared.same("part of the key", &published[at], part);
    match section {
        KeySection::First { expiry_high, revision, roll_over, three_tokens, key_type, .. } => {
            compared.same("expiry", &published["kenho"], expiry_high);
            compared.same("revision", &published["krn"], revision);
            compared.same("roll-over", &published["ro"], u8::from(roll_over));
            compared.same("three tokens", &published["res_3kct"], u8::from(three_tokens));
            compared.same("key type", &published["kt"], key_type);
        }
        KeySection::Second { expiry_low, tariff_index, .. } => {
            compared.same("expiry", &published["kenlo"], expiry_low);
            compared.same("tariff index", &published["ti"], tariff_index);
        }
        KeySection::Third { supply_group_low: half, .. }
        | KeySection::Fourth { supply_group_high: half, .. } => {
            compared.same("supply group", &published["sgc_part"], half);
        }
    }
}

/// Number and random field, and that each base date has this number for the minute published.
fn numbered(row: &Row, id: TokenId, random: u8, compared: &mut Comparison) -> Result<(), String> {
    compared.same("number", &row.expected("fields")["tid"], id.minutes());
    compared.same("random", &row.expected("fields")["random"], random);
    for base in BaseDate::ALL {
        let minute = text(&row.expected("tid_as_date")[base.year().to_string()])?;
        let numbers: Result<Vec<u16>, _> = minute.split(['-', ' ', ':']).map(str::parse).collect();
        let Ok(&[year, month, day, hour, minute]) = numbers.as_deref() else {
            return Err(format!("{minute} is no minute"));
        };
        let [month, day, hour, minute] =
            [month, day, hour, minute].map(|number| u8::try_from(number).unwrap_or(0xFF));
        let issued = Issued { year, month, day, hour, minute };
        let ours = base.token_id(issued).map_err(|error| error.to_string())?;
        compared.same("number of the minute", &id.minutes().into(), ours.minutes());
    }
    Ok(())
}

/// The field of what was asked for in main units, rounded up to what can be carried.
fn at_least(asked: &str) -> Result<u16, String> {
    let (whole, fraction) = asked.split_once('.').unwrap_or((asked, ""));
    let digits = format!("{whole}{}", fraction.get(..1).unwrap_or("0"));
    let tenths: u32 = digits.parse().map_err(|_| format!("{asked} is no amount"))?;
    let more = u32::from(fraction.bytes().skip(1).any(|digit| digit != b'0'));
    let amount = Amount::at_least(tenths + more).ok_or("an amount that fits")?;
    Ok(amount.raw())
}
