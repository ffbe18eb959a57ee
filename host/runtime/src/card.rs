//! Cards: the interface `card` of a driver, asked with a card that lies in a reader.
//!
//! Invariant: an act on a card ends as the host saw it: without a command that may change the card
//! nothing happened to it; where one was begun and no clear answer came, nobody knows. What a driver
//! tells of a card is checked value by value, and it can tell of its own vendor's cards alone.
//! Not here: the slot (slot), which driver is asked, and what a card's contents mean for a sale
//! (service).

use crate::bindings::exports::polymeter::driver::card;
use crate::bindings::polymeter::driver::types;
use crate::carried::Carried;
use crate::convert::{self, Checked, outward, text};
use crate::driver::{Device, Driver, Moment};
use crate::error::CallError;
use crate::limits::{CARD_SERIAL_BYTES, NAME_BYTES};
use crate::outcome::{Acted, Claim, Ended};
use crate::session::{Act, Lent, Session};
use crate::slot::Seen;
use crate::text::printable;
use polymeter_domain::{
    CardContents, CardIdentity, CardOrder, CardPurpose, CustomerNumber, Delivery, MeterAddress,
    Purchase, PurchaseCount, Receipt, Region, Uptake, VendorCode, WrittenBack,
};
use polymeter_transcript::{CardAct, Request};
use polymeter_transport::CardLease;

/// A driver that may speak of cards of these vendors: the one it serves, and the one it says it is of.
pub(crate) type Vendors<'a> = [&'a VendorCode; 2];

/// Those that change nothing come first.
impl Driver {
    /// Whether it serves cards.
    pub fn cards(&self) -> bool {
        self.abilities().cards
    }

    /// Whether the card is one of this vendor's, and whose; `None`: it is not. `device` is the one that
    /// the card is for, where anybody knows it yet.
    pub async fn identify_card(
        &self,
        card: &mut CardLease,
        device: Option<&Device>,
        moment: Moment,
    ) -> Result<Option<CardIdentity>, CallError> {
        self.has_cards("identify cards")?;
        let call = self.call_about(device, moment);
        let ask = async |session: &mut Session| {
            session.asked(|| Request::CardIdentify(call.clone().carried()));
            let said = self.functions.card_identify(session, &call).await?;
            session.said(said)
        };
        let convert = |said: Option<_>| said.map(|said| identity(said, self.vendors())).transpose();
        let mut seen = Seen::default();
        self.callee.call(Act::Look, Lent::Card(card, &mut seen), ask, convert).await.answer
    }

    /// All that the card holds.
    pub async fn check_card(
        &self,
        card: &mut CardLease,
        device: Option<&Device>,
        moment: Moment,
    ) -> Result<CardContents, CallError> {
        self.has_cards("check cards")?;
        let call = self.call_about(device, moment);
        let ask = async |session: &mut Session| {
            session.asked(|| Request::CardCheck(call.clone().carried()));
            let said = self.functions.card_check(session, &call).await?;
            session.said(said)
        };
        let convert = |said| contents(said, self.vendors());
        let mut seen = Seen::default();
        self.callee.call(Act::Look, Lent::Card(card, &mut seen), ask, convert).await.answer
    }

    /// Makes a user card out of a blank one (开户卡), with a first purchase or none.
    pub async fn open_card(
        &self,
        card: &mut CardLease,
        device: &Device,
        moment: Moment,
        order: &CardOrder,
    ) -> Acted<Delivery> {
        self.do_to_card(CardAct::Open, card, device, moment, order).await
    }

    /// Puts a purchase on the customer's card (购电卡).
    pub async fn sell_to_card(
        &self,
        card: &mut CardLease,
        device: &Device,
        moment: Moment,
        order: &CardOrder,
    ) -> Acted<Delivery> {
        self.do_to_card(CardAct::Sell, card, device, moment, order).await
    }

    /// Makes a blank card the customer's in place of a lost one (补卡), with the last purchase.
    pub async fn replace_card(
        &self,
        card: &mut CardLease,
        device: &Device,
        moment: Moment,
        order: &CardOrder,
    ) -> Acted<Delivery> {
        self.do_to_card(CardAct::Replace, card, device, moment, order).await
    }

    /// Takes back the purchase that the device has not taken; the card's count stays.
    pub async fn take_back_from_card(
        &self,
        card: &mut CardLease,
        device: &Device,
        moment: Moment,
        order: &CardOrder,
    ) -> Acted<Delivery> {
        self.do_to_card(CardAct::TakeBack, card, device, moment, order).await
    }

    /// Makes a maintenance card out of a blank one; of the purpose that the order has.
    pub async fn make_card(
        &self,
        card: &mut CardLease,
        device: Option<&Device>,
        moment: Moment,
        order: &CardOrder,
    ) -> Acted<Delivery> {
        self.act_on_card(CardAct::Make, card, self.call_about(device, moment), order).await
    }

    /// Makes the card blank again (清零回收卡).
    pub async fn clear_card(
        &self,
        card: &mut CardLease,
        device: Option<&Device>,
        moment: Moment,
    ) -> Acted<Delivery> {
        if let Err(unable) = self.has_cards("clear cards") {
            return Acted::unable(Delivery::NotSent(unable.to_string()));
        }
        let call = self.call_about(device, moment);
        let ask = async |session: &mut Session| {
            session.asked(|| Request::CardClear(call.clone().carried()));
            let said = self.functions.card_clear(session, &call).await?;
            session.said(said)
        };
        let mut seen = Seen::default();
        let lent = Lent::Card(card, &mut seen);
        let ended = self.callee.call(Act::Change, lent, ask, convert::receipt).await;
        judged(ended, seen, self.name())
    }

    async fn do_to_card(
        &self,
        act: CardAct,
        card: &mut CardLease,
        device: &Device,
        moment: Moment,
        order: &CardOrder,
    ) -> Acted<Delivery> {
        self.act_on_card(act, card, self.call_of(device, moment), order).await
    }

    async fn act_on_card(
        &self,
        act: CardAct,
        card: &mut CardLease,
        call: types::Call,
        order: &CardOrder,
    ) -> Acted<Delivery> {
        if let Err(unable) = self.has_cards("write cards") {
            return Acted::unable(Delivery::NotSent(unable.to_string()));
        }
        let asked = outward_order(order);
        let ask = async |session: &mut Session| {
            session.asked(|| Request::Card(act, call.clone().carried(), asked.clone().carried()));
            let said = self.functions.card_act(session, act, &call, &asked).await?;
            session.said(said)
        };
        let mut seen = Seen::default();
        let lent = Lent::Card(card, &mut seen);
        let convert = |said| receipt(said, order.purchase);
        let ended = self.callee.call(Act::Change, lent, ask, convert).await;
        judged(ended, seen, self.name())
    }

    fn has_cards(&self, ability: &'static str) -> Result<(), CallError> {
        if self.cards() { Ok(()) } else { Err(self.unable(ability)) }
    }

    pub(crate) fn vendors(&self) -> Vendors<'_> {
        [self.vendor(), &self.description().vendor_code]
    }

    /// The call about a device, or about none that anybody knows.
    fn call_about(&self, device: Option<&Device>, moment: Moment) -> types::Call {
        match device {
            Some(device) => self.call_of(device, moment),
            None => self.call_of_nobody(moment),
        }
    }
}

/// A yes or a no needs a card that did what it was asked; after a command that may have changed the
/// card, one that did so since. A driver that only looked may say both: the card had it already, or is
/// another's. Without such an answer the card is as it was where no such command was begun.
pub(crate) fn judged(ended: Ended<Claim<Receipt>>, seen: Seen, driver: &str) -> Acted<Delivery> {
    let looked = seen.answered && !seen.changed;
    let is_clear = matches!(ended.answer, Ok(Claim::Confirmed(_) | Claim::Refused(_)));
    let ended = Ended { sent: seen.changed || (looked && is_clear), ..ended };
    ended.acted(looked || seen.heard, driver)
}

fn outward_order(order: &CardOrder) -> card::Order {
    let CardOrder { purpose, region, customer_number, purchase, parameters } = order;
    card::Order {
        purpose: purpose.code(),
        region: region.as_ref().map(|region| region.as_str().to_owned()).unwrap_or_default(),
        customer_number: customer_number
            .as_ref()
            .map(|number| number.as_str().to_owned())
            .unwrap_or_default(),
        purchase: purchase.map(outward::purchase),
        parameters: outward::extras(parameters),
    }
}

/// Empty is none.
fn optional<T>(
    what: &str,
    said: String,
    new: impl FnOnce(&str) -> Option<T>,
) -> Checked<Option<T>> {
    if said.is_empty() {
        return Ok(None);
    }
    let shown = || format!("as {what} `{}`, which is none", printable(&said, NAME_BYTES));
    new(&said).map(Some).ok_or_else(shown)
}

/// A vendor's card is told by that vendor's driver alone.
pub(crate) fn identity(said: card::Identity, vendors: Vendors<'_>) -> Checked<CardIdentity> {
    let [serves, _] = vendors;
    if !vendors.iter().any(|vendor| vendor.as_str() == said.vendor_code) {
        let shown = printable(&said.vendor_code, NAME_BYTES);
        return Err(format!("a card of vendor {shown}, and it serves {serves}"));
    }
    let purpose = CardPurpose::from_code(said.purpose).ok_or_else(|| {
        format!("a card of purpose {}, which this host does not know", said.purpose)
    })?;
    let serial = text("a card's number", said.serial, CARD_SERIAL_BYTES)?;
    let is_number = serial.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Only a card that is nobody's may have no number yet.
    if !is_number || (serial.is_empty() && purpose != CardPurpose::Blank) {
        let shown = printable(&serial, NAME_BYTES);
        return Err(format!("as a card's number `{shown}`, which is no hexadecimal number"));
    }
    Ok(CardIdentity {
        vendor: serves.clone(),
        purpose,
        region: optional("a region", said.region, |it| Region::new(it).ok())?,
        customer_number: optional("a customer number", said.customer_number, |it| {
            CustomerNumber::new(it).ok()
        })?,
        device: optional("a device", said.device, |it| MeterAddress::new(it).ok())?,
        serial,
    })
}

pub(crate) fn contents(said: card::Contents, vendors: Vendors<'_>) -> Checked<CardContents> {
    let uptake = Uptake::from_code(said.taken).ok_or_else(|| {
        format!("{} for whether the device has taken it, which this host does not know", said.taken)
    })?;
    let purchase = said.purchase.map(purchase).transpose()?;
    Ok(CardContents {
        identity: identity(said.identity, vendors)?,
        purchase,
        uptake,
        written_back: said.written_back.map(written_back).transpose()?,
        extras: convert::extras(said.extras)?,
    })
}

pub(crate) fn purchase(said: types::Purchase) -> Checked<Purchase> {
    let count = PurchaseCount::new(said.count);
    convert::credit(said.credit).map(|credit| Purchase { count, credit })
}

/// Devices do lose their clock; that must not cost the balance.
fn written_back(said: card::WrittenBack) -> Checked<WrittenBack> {
    Ok(WrittenBack {
        count: PurchaseCount::new(said.count),
        balance: said.balance.map(convert::credit).transpose()?,
        at: said.at.and_then(|at| convert::local_time(at).ok()),
        measurements: convert::measurements(said.measurements)?,
        extras: convert::extras(said.extras)?,
    })
}

/// What was asked for is what the card must hold afterwards.
pub(crate) fn receipt(
    said: types::SellOutcome,
    asked: Option<Purchase>,
) -> Checked<Claim<Receipt>> {
    let claim = convert::receipt(said)?;
    if let (Claim::Confirmed(receipt), Some(asked)) = (&claim, asked)
        && receipt.count != asked.count
    {
        let (found, asked) = (receipt.count.get(), asked.count.get());
        return Err(format!("purchase count {found} as the card's, where {asked} was asked for"));
    }
    Ok(claim)
}
