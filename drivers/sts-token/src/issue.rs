//! From an order to digits: what the clear block says, and the block encrypted by the vault.

use crate::settings::{Settings, bad};
use polymeter_codec::sts::decoder_key::{Cipher, DecoderKey, RollOver};
use polymeter_codec::sts::{
    Amount, Content, Credit, Engineering, Issued as Minute, Order, Service, Test, Token, TokenId,
};
use polymeter_driver::codes::{error, quantity, token, vault::cipher};
use polymeter_driver::{Call, Draft, DriverError, Extras, Host, Issued, Key, TokenOrder};

/// A tenth of a kWh in Wh, and of a cubic metre in litres.
const PER_TENTH: u64 = 100;
/// All tests, where the maker's code has two digits, and where it has four.
const SHORT_TESTS: u64 = (1 << 36) - 1;
const LONG_TESTS: u64 = (1 << 28) - 1;

pub fn plan(call: &Call, order: &TokenOrder, last: Option<u32>) -> Result<Draft, DriverError> {
    let settings = Settings::of(call, &Extras::new())?;
    let carried = carried(&settings, order)?;
    if !is_numbered(order.kind) {
        let begins_anew = check_rest(call, &settings, order)?;
        return Ok(Draft { identifier: None, credit: None, begins_anew });
    }
    let now = &call.now;
    let minute = Minute {
        year: now.year,
        month: now.month,
        day: now.day,
        hour: now.hour,
        minute: now.minute,
    };
    let id = settings.base.token_id(minute).map_err(|error| bad(error.to_string()))?;
    let last = match last {
        None => None,
        Some(last) => Some(TokenId::new(last).ok_or_else(|| bad("the last identifier is none"))?),
    };
    let id = id
        .after(last)
        .ok_or_else(|| bad("the base date has no identifier left: the meter needs a later one"))?;
    content(&settings, call, order, id)?;
    let credit = carried.map(|(credit, _)| credit);
    Ok(Draft { identifier: Some(id.minutes()), credit, begins_anew: false })
}

pub fn issue(
    host: &mut dyn Host,
    call: &Call,
    order: &TokenOrder,
    identifier: Option<u32>,
) -> Result<Issued, DriverError> {
    let settings = Settings::of(call, &Extras::new())?;
    let credit = carried(&settings, order)?.map(|(credit, _)| credit);
    let tokens = match order.kind {
        token::TEST => {
            // The same for all meters, and not encrypted.
            let content = test(&settings, order)?;
            let block = content.block().map_err(|error| bad(error.to_string()))?;
            vec![digits(Token::new(content.class(), block))]
        }
        token::KEY_CHANGE => key_change(host, call, &settings, order)?,
        _ => {
            let id = identifier.and_then(TokenId::new).filter(|id| !id.is_reserved());
            let id = id.ok_or_else(|| bad("such a token needs an identifier of a plan"))?;
            let content = content(&settings, call, order, id)?;
            vec![encrypted(host, &settings, content)?]
        }
    };
    Ok(Issued { tokens, credit })
}

/// Whether tokens of this kind have a TID (6.2).
fn is_numbered(kind: u16) -> bool {
    !matches!(kind, token::TEST | token::KEY_CHANGE)
}

/// What an order without a number needs to be right before anybody counts on it; whether the meter counts
/// anew after it.
fn check_rest(call: &Call, settings: &Settings, order: &TokenOrder) -> Result<bool, DriverError> {
    if order.kind == token::TEST {
        let block = test(settings, order)?.block();
        return block.map(|_| false).map_err(|error| bad(error.to_string()));
    }
    Ok(after_change(call, settings, order)?.base != settings.base)
}

fn content(
    settings: &Settings,
    call: &Call,
    order: &TokenOrder,
    id: TokenId,
) -> Result<Content, DriverError> {
    // Equal orders look different by four bits of the nonce, which the host keeps with the order.
    let random = call.nonce.first().copied().unwrap_or(0) & 0x0F;
    let field = || u16::try_from(order.value).map_err(|_| bad("the value has 16 bits at most"));
    let watts = || {
        let watts = u32::try_from(order.value).ok().and_then(Amount::at_least);
        watts.ok_or_else(|| bad(format!("{} W are more than a token can carry", order.value)))
    };
    let content = match order.kind {
        token::CREDIT => {
            let (_, amount) =
                carried(settings, order)?.ok_or_else(|| bad("a credit without an amount"))?;
            Content::Credit(Credit { service: settings.service, random, id, amount })
        }
        token::CLEAR_CREDIT => engineering(Order::ClearCredit(field()?), random, id),
        token::MAX_POWER => engineering(Order::MaxPower(watts()?), random, id),
        token::TARIFF_RATE => engineering(Order::TariffRate(field()?), random, id),
        token::CLEAR_TAMPER => engineering(Order::ClearTamper, random, id),
        token::MAX_PHASE_UNBALANCE => engineering(Order::MaxPhaseUnbalance(watts()?), random, id),
        token::WATER_FACTOR => engineering(Order::WaterFactor(field()?), random, id),
        kind => {
            let why = format!("this driver makes no tokens of kind {kind}");
            return Err(DriverError::new(error::UNSUPPORTED, why));
        }
    };
    Ok(content)
}

fn engineering(order: Order, random: u8, id: TokenId) -> Content {
    Content::Engineering(Engineering { order, random, id })
}

/// What a credit becomes in a token, in the host's unit and in the meter's: rounded up to what a
/// token can carry, in favour of whoever bought it (6.3.6).
fn carried(
    settings: &Settings,
    order: &TokenOrder,
) -> Result<Option<(polymeter_driver::Credit, Amount)>, DriverError> {
    let credit = match (order.kind, order.credit) {
        (token::CREDIT, Some(credit)) => credit,
        (token::CREDIT, None) => return Err(bad("a credit without an amount")),
        (_, None) => return Ok(None),
        (_, Some(_)) => return Err(bad("only a credit has an amount")),
    };
    let wanted = match settings.service {
        Service::Electricity => quantity::ENERGY,
        Service::Water | Service::Gas | Service::Time => quantity::VOLUME,
    };
    if credit.quantity != wanted {
        return Err(bad("this meter is sold Wh (electricity) or litres (water, gas), not money"));
    }
    let units = u32::try_from(credit.amount.div_ceil(PER_TENTH)).ok();
    let amount = units.filter(|units| *units > 0).and_then(Amount::at_least).ok_or_else(|| {
        bad(format!("{} Wh or litres: a token carries 100 to 1820162400", credit.amount))
    })?;
    let amount_carried = u64::from(amount.units()).saturating_mul(PER_TENTH);
    Ok(Some((polymeter_driver::Credit { amount: amount_carried, ..credit }, amount)))
}

/// By the length of the code that the meter's maker has (6.2.6); all bits are all tests (6.3.8).
fn test(settings: &Settings, order: &TokenOrder) -> Result<Content, DriverError> {
    if order.credit.is_some() {
        return Err(bad("only a credit has an amount"));
    }
    let (value, is_all) = (order.value, order.value == u64::MAX);
    Ok(Content::Test(if settings.has_long_vendor {
        let control = u32::try_from(if is_all { LONG_TESTS } else { value });
        let control = control.map_err(|_| bad("this meter has no such test"))?;
        Test::Long { control, vendor: 0 }
    } else {
        Test::Short { control: if is_all { SHORT_TESTS } else { value }, vendor: 0 }
    }))
}

fn encrypted(
    host: &mut dyn Host,
    settings: &Settings,
    content: Content,
) -> Result<String, DriverError> {
    let block = content.block().map_err(|error| bad(error.to_string()))?;
    let algorithm = match settings.cipher {
        Cipher::Sta => cipher::STS_EA07,
        Cipher::Misty1 => cipher::STS_EA11,
    };
    let answer = host.encrypt(&settings.key(), algorithm, &[], &[], &block.to_be_bytes())?;
    Ok(digits(Token::new(content.class(), carried_block(&answer)?)))
}

fn carried_block(answer: &[u8]) -> Result<u64, DriverError> {
    let block = answer.try_into().map(u64::from_be_bytes);
    block.map_err(|_| DriverError::new(error::VAULT, "the vault answered no block of 8 bytes"))
}

fn digits(token: Token) -> String {
    token.digits().as_str().to_owned()
}

/// What the meter is after the change, held to what a key change can do.
fn after_change(
    call: &Call,
    before: &Settings,
    order: &TokenOrder,
) -> Result<Settings, DriverError> {
    if order.change.is_empty() {
        return Err(bad("a key change that changes nothing"));
    }
    let after = Settings::of(call, &order.change)?;
    if after.cipher != before.cipher {
        return Err(bad("a key change does not change the cipher of a meter"));
    }
    if after.base < before.base {
        return Err(bad("a meter does not go back to an earlier base date"));
    }
    Ok(after)
}

/// Two tokens, or four for a key of 128 bits, which the meter takes in any order (6.2.7). The vault
/// puts the new key's bits in: they are never here.
fn key_change(
    host: &mut dyn Host,
    call: &Call,
    before: &Settings,
    order: &TokenOrder,
) -> Result<Vec<String>, DriverError> {
    let after = after_change(call, before, order)?;
    let roll_over = if after.base == before.base { RollOver::No } else { RollOver::Yes };
    let empty = match after.cipher {
        Cipher::Sta => DecoderKey::Sta([0; 8]),
        Cipher::Misty1 => DecoderKey::Misty1([0; 16]),
    };
    let name = named(&after.key());
    let mut tokens = Vec::new();
    for section in after.origin.sections(&empty, after.expiry, roll_over).iter() {
        let content = Content::Key(section);
        let block = content.block().map_err(|error| bad(error.to_string()))?;
        let bytes = block.to_be_bytes();
        let answer = host.encrypt(&before.key(), cipher::STS_KEY_CHANGE, &[], &name, &bytes)?;
        tokens.push(digits(Token::new(content.class(), carried_block(&answer)?)));
    }
    Ok(tokens)
}

/// As algorithm 12 of the vault takes it: label, then 00, algorithm, length and factor of each step.
fn named(key: &Key) -> Vec<u8> {
    let steps = key.path.iter().flat_map(|step| {
        let number = u8::try_from(step.algorithm).unwrap_or(0);
        let length = u8::try_from(step.factor.len()).unwrap_or(0);
        [0, number, length].into_iter().chain(step.factor.iter().copied())
    });
    key.label.bytes().chain(steps).collect()
}
