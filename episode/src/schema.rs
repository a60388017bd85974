//! Schemas of the channels: Foxglove's own where one fits, JSON Schema for the rest.
//!
//! The JSON schemas keep to the subset that Foxglove and Lichtblick accept (a single `type`, no unions). A number that
//! is not finite is the one exception to them: it appears as a string (see the crate's documentation).

use std::borrow::Cow;

use foxglove::Encode;
use foxglove::messages::{CompressedImage, JointStates, RawImage};
use robot::device::{ArmState, TroubleKind};
use serde_json::{Map, Value, json};

use crate::channel::Channel;
use crate::row::{PlanSource, Reason, StageTimes};
use crate::variants::one_of;

/// What MCAP wants to know about a channel.
pub(crate) struct ChannelSchema {
    pub(crate) name: String,
    /// `protobuf` or `jsonschema`.
    pub(crate) encoding: String,
    /// `protobuf` or `json`.
    pub(crate) message_encoding: &'static str,
    pub(crate) data: Cow<'static, [u8]>,
}

pub(crate) fn of(channel: Channel) -> ChannelSchema {
    let foxglove = |schema: Option<foxglove::Schema>| {
        // The trait allows for messages without a schema; Foxglove's own all have one.
        let schema = schema.unwrap_or_else(|| foxglove::Schema::new("", "", b"".as_slice()));
        ChannelSchema {
            name: schema.name,
            encoding: schema.encoding,
            message_encoding: "protobuf",
            data: schema.data,
        }
    };
    match channel {
        Channel::Capture => foxglove(RawImage::get_schema()),
        Channel::CaptureCamera => foxglove(CompressedImage::get_schema()),
        Channel::CaptureJoints | Channel::ActuateJoints => foxglove(JointStates::get_schema()),
        Channel::CaptureState => json_schema(
            "armillary.CaptureState",
            "What the frame of this tick was",
            capture(),
        ),
        Channel::Encode => json_schema("armillary.Encode", "How the embedding was obtained", encode()),
        Channel::Filter => json_schema("armillary.Filter", "What the belief update found", filter()),
        Channel::Plan => json_schema("armillary.Plan", "What the planner proposed", plan()),
        Channel::Guard => json_schema("armillary.Guard", "What the guard made of the proposal", guard()),
        Channel::Actuate => json_schema("armillary.Actuate", "What was sent at this edge", actuate()),
        Channel::Record => json_schema("armillary.Record", "Times and losses", record()),
    }
}

/// Marks a field that rows need not have; no part of the schema.
const OPTIONAL: &str = "optional";

type Fields = Vec<(&'static str, Value)>;

fn json_schema(name: &str, title: &str, fields: Fields) -> ChannelSchema {
    let tick = (
        "tick",
        field("integer", "index of the tick within the episode, from 0"),
    );
    let mut schema = object(title, std::iter::once(tick).chain(fields).collect());
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    ChannelSchema {
        name: name.to_owned(),
        encoding: "jsonschema".to_owned(),
        message_encoding: "json",
        data: Cow::Owned(schema.to_string().into_bytes()),
    }
}

fn field(kind: &str, description: &str) -> Value {
    json!({ "type": kind, "description": description })
}

fn joints(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "number" }, "maxItems": robot::MAX_JOINTS, "description": description })
}

fn object(description: &str, fields: Fields) -> Value {
    let required: Vec<&str> = fields
        .iter()
        .filter(|(_, schema)| schema[OPTIONAL] != true)
        .map(|(name, _)| *name)
        .collect();
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            if let Some(schema) = schema.as_object_mut() {
                schema.remove(OPTIONAL);
            }
            ((*name).to_owned(), schema)
        })
        .collect();
    json!({ "type": "object", "description": description, "properties": properties, "required": required })
}

fn capture() -> Fields {
    vec![
        (
            "frame_seq",
            field("integer", "sequence number the camera gave the frame"),
        ),
        (
            "frame_hash",
            field("string", "hash of the frame's pixels, 16 hexadecimal digits"),
        ),
        (
            "fresh",
            field(
                "boolean",
                "whether the frame was new to this tick and young enough",
            ),
        ),
        (
            "reward",
            field(
                "number",
                "reward of the state that the frame shows; null if nobody gave one",
            ),
        ),
        (
            "arm",
            field(
                "string",
                &format!("state of the arm's firmware: {}", one_of::<ArmState>()),
            ),
        ),
        (
            "arm_refused",
            field(
                "boolean",
                "whether the arm refused the newest command that had reached it",
            ),
        ),
        (
            "arm_set_point_rad",
            joints("where the arm's firmware was leading its joints, in radians"),
        ),
        ("motors", motors()),
    ]
}

fn motors() -> Value {
    let motor = object(
        "what one motor said last; null where it has not",
        vec![
            (
                "missed",
                field("integer", "turns of the bus since its position was read"),
            ),
            (
                "voltage_v",
                field("number", "supply, in volts; null if it did not say"),
            ),
            (
                "temperature_c",
                field(
                    "number",
                    "temperature, in degrees Celsius; null if it did not say",
                ),
            ),
            (
                "load",
                field(
                    "number",
                    "how hard it pulls, as a share of the most; null if it did not say",
                ),
            ),
            (
                "current_a",
                field("number", "current, in amperes; null if it did not say"),
            ),
        ],
    );
    let trouble = object(
        "what is beyond a limit; null if nothing is",
        vec![
            ("joint", field("integer", "the joint, counted from the base")),
            ("id", field("integer", "the motor's id on its bus")),
            ("kind", field("string", &one_of::<TroubleKind>())),
            ("value", field("number", "the reading; null if there is none")),
        ],
    );
    let mut motors = object(
        "what the arm's motors said last; left out where they say nothing",
        vec![
            (
                "exchange_us",
                field(
                    "integer",
                    "longest turn of questions and answers on the bus since the tick before, in microseconds",
                ),
            ),
            (
                "joints",
                json!({ "type": "array", "items": motor, "maxItems": robot::MAX_JOINTS, "description": "one a joint, base first" }),
            ),
            ("trouble", trouble),
        ],
    );
    motors[OPTIONAL] = json!(true);
    motors
}

fn encode() -> Fields {
    vec![(
        "reused",
        field("boolean", "whether the previous embedding was kept"),
    )]
}

fn filter() -> Fields {
    vec![
        (
            "kl_nats",
            field("number", "divergence of posterior from prior, in nats"),
        ),
        (
            "prior_only",
            field(
                "boolean",
                "whether the belief was rolled forward without an observation",
            ),
        ),
        (
            "reward_predicted",
            field("number", "reward that the model expects in the present belief"),
        ),
    ]
}

fn plan() -> Fields {
    vec![
        ("source", field("string", &one_of::<PlanSource>())),
        ("iterations", field("integer", "search iterations that ran")),
        (
            "best_return",
            field(
                "number",
                "predicted return of the best candidate of the last iteration",
            ),
        ),
        (
            "elite_mean_return",
            field("number", "mean predicted return of the last iteration's elites"),
        ),
        (
            "elite_std",
            field(
                "number",
                "standard deviation of the elites' first action, averaged over joints",
            ),
        ),
        ("action", joints("the proposal, in [-1, 1] a joint")),
    ]
}

fn guard() -> Fields {
    let hits =
        "limits that intervened, as bits: 1 not finite, 2 velocity, 4 acceleration, 8 position, 16 workspace";
    vec![
        ("reason", field("string", &one_of::<Reason>())),
        ("hits", field("integer", hits)),
        ("action", joints("the action decided, in [-1, 1] a joint")),
        (
            "set_point_rad",
            joints("where it leads by the end of its period, in radians"),
        ),
    ]
}

fn actuate() -> Fields {
    vec![
        ("command_seq", field("integer", "sequence number of the command")),
        (
            "action",
            joints("the action sent at this edge, in [-1, 1] a joint; it drives the period that starts here"),
        ),
        ("set_point_rad", joints("the set point sent with it, in radians")),
        ("sent", field("boolean", "whether the command left")),
    ]
}

fn record() -> Fields {
    let stages = StageTimes::default()
        .named()
        .map(|(stage, _)| (stage, field("integer", "nanoseconds")))
        .to_vec();
    vec![
        (
            "edge_ns",
            field(
                "integer",
                "the edge at which the tick was due, in nanoseconds of the loop's clock",
            ),
        ),
        (
            "age_ns",
            field("integer", "age of the frame at the edge, in nanoseconds"),
        ),
        (
            "latency_ns",
            object("time spent in each stage, in nanoseconds", stages),
        ),
        (
            "lateness_ns",
            field(
                "integer",
                "how long after its edge the tick began, in nanoseconds",
            ),
        ),
        (
            "deadline_missed",
            field("boolean", "whether the tick ended after its deadline"),
        ),
        (
            "host_stall",
            field("boolean", "whether the machine, not the program, was the cause"),
        ),
        (
            "dropped",
            field(
                "integer",
                "records lost since the episode began because the ring was full",
            ),
        ),
    ]
}
