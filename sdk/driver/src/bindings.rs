//! The contract as Rust, generated from `wit/1.1.0`. Nothing is written by hand here.
//!
//! The worlds `meter-driver` and `card-driver` share `info`. One crate can generate an interface's
//! export once only, so `info` is a world of its own here, and the two are what is left of them.
#![allow(clippy::all, missing_debug_implementations)]

wit_bindgen::generate!({
    path: "../../wit/1.1.0",
    inline: "
        package polymeter:guest;
        world meter {
            import polymeter:driver/line@1.1.0;
            import polymeter:driver/vault@1.1.0;
            import polymeter:driver/log@1.1.0;
            export polymeter:driver/meter@1.1.0;
            export polymeter:driver/purse@1.1.0;
            export polymeter:driver/supply@1.1.0;
            export polymeter:driver/settings@1.1.0;
            export polymeter:driver/frames@1.1.0;
        }
    ",
    world: "meter",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_meter",
    additional_derives: [PartialEq],
});

/// What every driver exports.
pub mod describing {
    wit_bindgen::generate!({
        path: "../../wit/1.1.0",
        inline: "
            package polymeter:guest;
            world describing {
                export polymeter:driver/info@1.1.0;
            }
        ",
        world: "describing",
        with: {
            "polymeter:driver/types@1.1.0": crate::bindings::polymeter::driver::types,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_describing",
        additional_derives: [PartialEq],
    });
}

/// The ability `bus`: a world of its own, because a driver must export all of a world and not every
/// driver can search a line.
pub mod bus_search {
    wit_bindgen::generate!({
        path: "../../wit/1.1.0",
        world: "bus-search",
        with: {
            "polymeter:driver/types@1.1.0": crate::bindings::polymeter::driver::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_bus_search",
        additional_derives: [PartialEq],
    });
}

/// The ability `refund`, for the same reason.
pub mod purse_refund {
    wit_bindgen::generate!({
        path: "../../wit/1.1.0",
        world: "purse-refund",
        with: {
            "polymeter:driver/types@1.1.0": crate::bindings::polymeter::driver::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_purse_refund",
        additional_derives: [PartialEq],
    });
}

/// The ability `clock`, for the same reason.
pub mod clock_setting {
    wit_bindgen::generate!({
        path: "../../wit/1.1.0",
        world: "clock-setting",
        with: {
            "polymeter:driver/types@1.1.0": crate::bindings::polymeter::driver::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_clock_setting",
        additional_derives: [PartialEq],
    });
}

/// The ability `entry`, for the same reason.
pub mod token_entry {
    wit_bindgen::generate!({
        path: "../../wit/1.1.0",
        world: "token-entry",
        with: {
            "polymeter:driver/types@1.1.0": crate::bindings::polymeter::driver::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_token_entry",
        additional_derives: [PartialEq],
    });
}

/// The ability `records`, for the same reason.
pub mod record_reading {
    wit_bindgen::generate!({
        path: "../../wit/1.1.0",
        world: "record-reading",
        with: {
            "polymeter:driver/types@1.1.0": crate::bindings::polymeter::driver::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_record_reading",
        additional_derives: [PartialEq],
    });
}

/// The ability `token`, for the same reason.
pub mod token_issue {
    wit_bindgen::generate!({
        path: "../../wit/1.1.0",
        world: "token-issue",
        with: {
            "polymeter:driver/types@1.1.0": crate::bindings::polymeter::driver::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_token_issue",
        additional_derives: [PartialEq],
    });
}

/// Cards: an import and an export of their own.
pub mod card_handling {
    wit_bindgen::generate!({
        path: "../../wit/1.1.0",
        world: "card-handling",
        with: {
            "polymeter:driver/types@1.1.0": crate::bindings::polymeter::driver::types,
            "polymeter:driver/vault@1.1.0": crate::bindings::polymeter::driver::vault,
        },
        pub_export_macro: true,
        export_macro_name: "export_card_handling",
        additional_derives: [PartialEq],
    });
}
