//! How a table of devices becomes an enum that a robot file can name.

/// Declares an enum with one row a kind of device: its name in the robot file, in camel case here and in snake case there, and the
/// settings that it is read into. The settings implement the trait named behind `by`.
macro_rules! devices {
    ($(#[$doc:meta])* $name:ident by $settings_trait:ident {
        $($(#[$row:meta])* $kind:ident: $settings:ty,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$row])* $kind($settings),)+
        }

        impl $name {
            fn settings(&mut self) -> &mut dyn $settings_trait {
                match self {
                    $(Self::$kind(settings) => settings,)+
                }
            }
        }
    };
}

pub(crate) use devices;
