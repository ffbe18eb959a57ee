//! The conversions between the contract's values here and the types that are generated from `wit/`.
//!
//! The guest's generator and the host's make types of equal shapes, so one text serves both: whoever
//! has bindings invokes [`conversions`](crate::conversions) once, in a module of its own. A trait of
//! that module carries the conversions, because neither side's types are its own.

/// `conversions!(path::to::bindings, path::to::info, path::to::bus, path::to::token, path::to::clock, path::to::entry,
/// path::to::records, path::to::card, path::to::card_slot)`, the others being interfaces that may be
/// generated from worlds of their own, writes a trait `Carried<T>` with `carried(self) -> T` and its
/// implementations for every value that a transcript holds.
#[macro_export]
macro_rules! conversions {
    ($($root:ident)::+, $($info:ident)::+, $($bus:ident)::+, $($token:ident)::+,
     $($clock:ident)::+, $($entry:ident)::+, $($records:ident)::+, $($card:ident)::+, $($slot:ident)::+) => {
        use $($root)::+::exports::polymeter::driver::{
            frames as theirs_frames, meter as theirs_meter, purse as theirs_purse, settings as theirs_settings, supply as theirs_supply,
        };
        use $($root)::+::polymeter::driver::{
            log as theirs_log, types as theirs, vault as theirs_vault,
        };

        use $($info)::+ as theirs_info;
        use $($bus)::+ as theirs_bus;
        use $($token)::+ as theirs_token;
        use $($clock)::+ as theirs_clock;
        use $($entry)::+ as theirs_entry;
        use $($records)::+ as theirs_records;
        use $($card)::+ as theirs_card;
        use $($slot)::+ as theirs_slot;

        /// A value of one side as the other's.
        pub trait Carried<T> {
            fn carried(self) -> T;
        }

        impl<A: Carried<B>, B> Carried<Vec<B>> for Vec<A> {
            fn carried(self) -> Vec<B> {
                self.into_iter().map(Carried::carried).collect()
            }
        }
        impl<A: Carried<B>, B> Carried<Option<B>> for Option<A> {
            fn carried(self) -> Option<B> {
                self.map(Carried::carried)
            }
        }
        impl<A: Carried<B>, B> Carried<(String, B)> for (String, A) {
            fn carried(self) -> (String, B) {
                (self.0, self.1.carried())
            }
        }

        $crate::conversions!(@record $crate::LocalTime, theirs::LocalTime,
            { year, month, day, hour, minute, second } {});
        $crate::conversions!(@record $crate::Decimal, theirs::Decimal, { mantissa, scale } {});
        $crate::conversions!(@record $crate::Credit, theirs::Credit, { quantity, amount } {});
        $crate::conversions!(@record $crate::Purchase, theirs::Purchase, { count } { credit });
        $crate::conversions!(@record $crate::Told, theirs::Call,
            { address, nonce } { parameters, now });
        $crate::conversions!(@record $crate::DriverError, theirs::DriverError,
            { code, detail, device_code } {});
        $crate::conversions!(@record $crate::Refusal, theirs::Refusal,
            { code, detail, device_code } {});
        $crate::conversions!(@record $crate::Receipt, theirs::Receipt,
            { count } { balance, extras });
        $crate::conversions!(@record $crate::Measurement, theirs::Measurement,
            { register, unit, quality } { value });
        $crate::conversions!(@record $crate::Parameter, theirs_info::Parameter,
            { name, title_en, title_zh, unit, minimum, maximum, writable } { default });
        $crate::conversions!(@record $crate::Description, theirs_info::Description,
            { vendor_code, name, version, models, proof, purse } { parameters });
        $crate::conversions!(@record $crate::Identity, theirs_meter::Identity,
            { address, model } { extras });
        $crate::conversions!(@record $crate::Snapshot, theirs_meter::Snapshot,
            { supply } { measurements, extras });
        $crate::conversions!(@record $crate::Opening, theirs_purse::Opening,
            { customer_number, count } { credit });
        $crate::conversions!(@record $crate::Order, theirs_purse::Order,
            { customer_number } { purchase });
        $crate::conversions!(@record $crate::Evidence, theirs_purse::Evidence,
            { count } { purchase, balance });
        $crate::conversions!(@record $crate::Explanation, theirs_frames::Explanation,
            { address } { measurements, extras });
        $crate::conversions!(@record $crate::Found, theirs_bus::Found,
            { address, model } { extras });
        $crate::conversions!(@record $crate::Collision, theirs_bus::Collision,
            { asked, detail, narrowed } {});
        $crate::conversions!(@record $crate::SearchStep, theirs_bus::Step,
            { done, total, next } { found, collisions });
        $crate::conversions!(@record $crate::RecordEntry, theirs_records::Entry,
            { event, device_code } { at, measurements, extras });
        $crate::conversions!(@record $crate::RecordEntries, theirs_records::Entries,
            { damaged, next } { entries });
        $crate::conversions!(@record $crate::TokenOrder, theirs_token::Order,
            { kind, value } { credit, change });
        $crate::conversions!(@record $crate::TokenPlan, theirs_token::Draft,
            { identifier, begins_anew } { credit });
        $crate::conversions!(@record $crate::TokensIssued, theirs_token::Issued,
            { tokens } { credit });
        $crate::conversions!(@record $crate::Diversification, theirs_vault::Diversification,
            { algorithm, factor } {});
        $crate::conversions!(@record $crate::Key, theirs_vault::Key, { label } { path });

        $crate::conversions!(@record $crate::InsertedCard, theirs_slot::InsertedCard,
            { kind, atr, uid } {});
        $crate::conversions!(@record $crate::CardIdentity, theirs_card::Identity,
            { vendor_code, purpose, region, customer_number, device, serial } {});
        $crate::conversions!(@record $crate::WrittenBack, theirs_card::WrittenBack,
            { count } { balance, at, measurements, extras });
        $crate::conversions!(@record $crate::CardContents, theirs_card::Contents,
            { taken } { identity, purchase, written_back, extras });
        $crate::conversions!(@record $crate::CardOrder, theirs_card::Order,
            { purpose, region, customer_number } { purchase, parameters });
        impl Carried<$crate::Secret> for theirs_slot::Secret {
            fn carried(self) -> $crate::Secret {
                match self {
                    theirs_slot::Secret::OfVault((key, factor)) => {
                        $crate::Secret::OfVault(key.carried(), factor)
                    }
                    theirs_slot::Secret::Published(code) => $crate::Secret::Published(code),
                }
            }
        }

        $crate::conversions!(@value $crate::Value, theirs::Value);
        $crate::conversions!(@value theirs::Value, $crate::Value);
        $crate::conversions!(@ending $crate::SellOutcome, theirs::SellOutcome, Sell,
            (proof) => proof.carried());
        $crate::conversions!(@ending $crate::ControlOutcome, theirs_supply::ControlOutcome, Control,
            (state) => state);
        $crate::conversions!(@ending $crate::ClockOutcome, theirs_clock::ClockOutcome, Clock,
            (shown) => shown.carried());
        $crate::conversions!(@ending $crate::SetOutcome, theirs_settings::SetOutcome, Set);
        $crate::conversions!(@ending $crate::SetOutcome, theirs_entry::EntryOutcome, Set);

        $crate::conversions!(@outcome theirs_info::Description, Description);
        $crate::conversions!(@outcome theirs_meter::Identity, Identity);
        $crate::conversions!(@outcome theirs_meter::Snapshot, Snapshot);
        $crate::conversions!(@outcome theirs_purse::Evidence, Evidence);
        $crate::conversions!(@outcome theirs_bus::Step, Search);
        $crate::conversions!(@outcome theirs_records::Entries, Records);
        $crate::conversions!(@outcome theirs_token::Draft, Plan);
        $crate::conversions!(@outcome theirs_token::Issued, Issued);
        $crate::conversions!(@outcome theirs_card::Contents, CardContents);
        $crate::conversions!(@outcome theirs::DriverError, Error);
        impl Carried<$crate::Outcome> for Option<theirs_card::Identity> {
            fn carried(self) -> $crate::Outcome {
                $crate::Outcome::CardIdentity(self.carried())
            }
        }
        impl Carried<$crate::Outcome> for theirs_frames::Explanation {
            fn carried(self) -> $crate::Outcome {
                $crate::Outcome::Explanation(Ok(self.carried()))
            }
        }
        /// The one error that is a mere text is `decode`'s.
        impl Carried<$crate::Outcome> for String {
            fn carried(self) -> $crate::Outcome {
                $crate::Outcome::Explanation(Err(self))
            }
        }
        impl<A: Carried<$crate::Outcome>, B: Carried<$crate::Outcome>> Carried<$crate::Outcome>
            for Result<A, B>
        {
            fn carried(self) -> $crate::Outcome {
                self.map_or_else(Carried::carried, Carried::carried)
            }
        }

        impl Carried<$crate::Level> for theirs_log::Level {
            fn carried(self) -> $crate::Level {
                match self {
                    theirs_log::Level::Trace => $crate::Level::Trace,
                    theirs_log::Level::Debug => $crate::Level::Debug,
                    theirs_log::Level::Info => $crate::Level::Info,
                    theirs_log::Level::Warn => $crate::Level::Warn,
                    theirs_log::Level::Error => $crate::Level::Error,
                }
            }
        }
    };

    // Both ways; the fields of the second group are carried themselves.
    (@record $ours:path, $theirs:path, { $($same:ident),* } { $($carried:ident),* }) => {
        $crate::conversions!(@one $ours, $theirs, { $($same),* } { $($carried),* });
        $crate::conversions!(@one $theirs, $ours, { $($same),* } { $($carried),* });
    };
    (@one $from:path, $to:path, { $($same:ident),* } { $($carried:ident),* }) => {
        impl Carried<$to> for $from {
            fn carried(self) -> $to {
                type From = $from;
                type To = $to;
                let From { $($same,)* $($carried,)* } = self;
                To { $($same,)* $($carried: $carried.carried(),)* }
            }
        }
    };
    (@value $from:path, $to:path) => {
        impl Carried<$to> for $from {
            fn carried(self) -> $to {
                type From = $from;
                type To = $to;
                match self {
                    From::Number(number) => To::Number(number.carried()),
                    From::Text(text) => To::Text(text),
                    From::Flag(flag) => To::Flag(flag),
                    From::Bytes(bytes) => To::Bytes(bytes),
                    From::Time(time) => To::Time(time.carried()),
                }
            }
        }
    };
    // An act's ending is only ever carried from a driver.
    (@ending $ours:path, $theirs:path, $kind:ident $(, ($proof:ident) => $carried:expr)?) => {
        impl Carried<$crate::Outcome> for $theirs {
            fn carried(self) -> $crate::Outcome {
                type Ours = $ours;
                type Theirs = $theirs;
                $crate::Outcome::$kind(match self {
                    Theirs::Confirmed $(($proof))? => Ours::Confirmed $(({ $carried }))?,
                    Theirs::Refused(refusal) => Ours::Refused(refusal.carried()),
                    Theirs::Unknown(why) => Ours::Unknown(why),
                })
            }
        }
    };
    (@outcome $theirs:path, $kind:ident) => {
        impl Carried<$crate::Outcome> for $theirs {
            fn carried(self) -> $crate::Outcome {
                $crate::Outcome::$kind(self.carried())
            }
        }
    };
}
