//! The file as others see it: names, versions, refusals.

use std::path::Path;

use episode::{
    ArmState, CaptureRow, Channel, EpisodeError, EpisodeInfo, EpisodeWriter, FORMAT_VERSION,
    MAX_ATTACHMENT_BYTES, PlanSource, Reason, decision_stream, list_runs, read_episode,
};
use mcap::MessageStream;

use crate::sample::{frame, info, log, read, tick};

#[test]
fn the_index_and_a_plain_mcap_reader_agree() {
    let (bytes, _) = log(6);
    let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
    // One chunk of schemas and one a tick.
    assert_eq!(summary.chunk_indexes.len(), 7);
    assert_eq!(summary.stats.unwrap().message_count, 60);
    let messages: Vec<_> = MessageStream::new(&bytes).unwrap().map(Result::unwrap).collect();
    for (index, message) in messages.iter().enumerate() {
        let channel = Channel::ALL[index % Channel::ALL.len()];
        assert_eq!(message.channel.topic, channel.topic());
        let schema = message.channel.schema.as_ref().unwrap();
        if message.channel.message_encoding == "json" {
            let value: serde_json::Value = serde_json::from_slice(&message.data).unwrap();
            let schema: serde_json::Value = serde_json::from_slice(&schema.data).unwrap();
            check_against_schema(channel.topic(), &value, &schema);
            assert_eq!(value["tick"], index / Channel::ALL.len());
        } else {
            assert_eq!(
                (schema.encoding.as_str(), &schema.name[..9]),
                ("protobuf", "foxglove.")
            );
        }
    }
}

/// Exactly the fields of the schema, each of its type and described, however deep.
fn check_against_schema(place: &str, value: &serde_json::Value, schema: &serde_json::Value) {
    assert!(schema["description"].is_string(), "{place}: no description");
    if value.is_null() {
        // Viewers accept no list of types, so that only the description can say it.
        assert!(
            schema["description"].as_str().unwrap().contains("null"),
            "{place}: null"
        );
        return;
    }
    let fits = match schema["type"].as_str().unwrap() {
        "object" => {
            let (value, properties) = (
                value.as_object().unwrap(),
                schema["properties"].as_object().unwrap(),
            );
            let names = |map: &serde_json::Map<String, serde_json::Value>| {
                let mut names: Vec<String> = map.keys().cloned().collect();
                names.sort();
                names
            };
            let required = schema["required"].as_array().unwrap();
            let missing: Vec<_> = required
                .iter()
                .filter(|name| !value.contains_key(name.as_str().unwrap()))
                .collect();
            assert!(missing.is_empty(), "{place}: no {missing:?}");
            let unknown: Vec<_> = names(value)
                .into_iter()
                .filter(|name| !properties.contains_key(name))
                .collect();
            assert!(unknown.is_empty(), "{place}: {unknown:?} is not in the schema");
            for (name, value) in value {
                check_against_schema(&format!("{place}.{name}"), value, &properties[name]);
            }
            true
        }
        "array" => {
            let items = &schema["items"];
            for item in value.as_array().unwrap() {
                if items["type"] == "number" {
                    assert!(item.is_number(), "{place}: {item}");
                } else {
                    check_against_schema(&format!("{place}[]"), item, items);
                }
            }
            true
        }
        "number" => value.is_number(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        other => panic!("{place}: type {other} is outside the subset that viewers accept"),
    };
    assert!(fits, "{place}: {value} is not of type {}", schema["type"]);
}

#[test]
fn hashes_are_hexadecimal_and_names_snake_case() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mcap");
    let mut writer = EpisodeWriter::create(&path, &info(), &[]).unwrap();
    let mut row = tick(0);
    row.capture.frame_hash = 0xab;
    row.filter.kl_nats = f32::NEG_INFINITY;
    writer.write_tick(&row, None, 0).unwrap();
    writer.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let text: String = MessageStream::new(&bytes)
        .unwrap()
        .map(Result::unwrap)
        .filter(|message| message.channel.message_encoding == "json")
        .map(|message| String::from_utf8(message.data.into_owned()).unwrap())
        .collect();
    for expected in [
        r#"{"tick":0,"frame_seq":3,"frame_hash":"00000000000000ab","#,
        r#""kl_nats":"-inf""#,
        r#""reason":"plan_late""#,
        r#""source":"fresh""#,
        r#""latency_ns":{"capture":1,"#,
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

/// A reason or a source that a log may hold, and its schema does not name, would be a surprise to whoever reads it by that.
#[test]
fn the_schema_names_every_value_that_a_field_may_have() {
    let (bytes, _) = log(1);
    let described = |topic: &str, field: &str| {
        let message = MessageStream::new(&bytes)
            .unwrap()
            .map(Result::unwrap)
            .find(|message| message.channel.topic == topic)
            .unwrap();
        let schema = message.channel.schema.as_ref().unwrap();
        let schema: serde_json::Value = serde_json::from_slice(&schema.data).unwrap();
        schema["properties"][field]["description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // What serde says of a value it does not know lists all that it does.
    fn all<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let error = serde_json::from_str::<T>("\"no such value\"")
            .err()
            .unwrap()
            .to_string();
        let names: Vec<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
        assert!(names.len() > 5, "{error}");
        names
    }
    for (topic, field, names) in [
        ("/plan", "source", all::<PlanSource>()),
        ("/guard", "reason", all::<Reason>()),
        ("/capture/state", "arm", all::<ArmState>()),
    ] {
        let text = described(topic, field);
        let words: Vec<&str> = text.split([' ', ',']).collect();
        for name in names {
            assert!(words.contains(&name.as_str()), "{name} is not in {topic}: {text}");
        }
    }
}

#[test]
fn a_reward_that_nobody_gave_is_null() {
    let written = |source: &str, reward: Option<f32>| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mcap");
        let info = EpisodeInfo {
            reward_source: source.to_owned(),
            ..info()
        };
        let mut writer = EpisodeWriter::create(&path, &info, &[]).unwrap();
        let mut row = tick(0);
        row.capture.reward = reward;
        writer.write_tick(&row, None, 0).unwrap();
        writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let state = MessageStream::new(&bytes)
            .unwrap()
            .map(Result::unwrap)
            .find(|message| message.channel.topic == Channel::CaptureState.topic())
            .unwrap();
        let fields: serde_json::Value = serde_json::from_slice(&state.data).unwrap();
        (
            fields.get("reward").cloned(),
            read_episode(&path).unwrap().ticks[0].capture.reward,
        )
    };
    assert_eq!(written("camera", None), (Some(serde_json::Value::Null), None));
    assert_eq!(written("camera", Some(0.0)), (Some(0.0.into()), Some(0.0)));
    // Earlier versions wrote 0 where imported data had no reward.
    assert_eq!(written("none", Some(0.0)), (Some(0.0.into()), None));
    // Other programs may leave the field out.
    let mut fields = serde_json::to_value(tick(0).capture).unwrap();
    fields.as_object_mut().unwrap().remove("reward");
    let row: CaptureRow = serde_json::from_str(&fields.to_string()).unwrap();
    assert_eq!(row.reward, None);
    // A word is no number.
    fields["reward"] = "much".into();
    assert!(serde_json::from_str::<CaptureRow>(&fields.to_string()).is_err());
}

#[test]
fn the_same_ticks_give_the_same_file() {
    assert_eq!(log(4).0, log(4).0);
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept.mcap");
    std::fs::write(&path, "precious").unwrap();
    let error = EpisodeWriter::create(&path, &info(), &[]).unwrap_err();
    assert!(matches!(error, EpisodeError::Exists { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn another_format_version_is_refused_by_both_numbers() {
    let (mut bytes, _) = log(1);
    let key = b"format_version\x01\0\0\0";
    let place = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    bytes[place] = b'7';
    let message = read(&bytes).unwrap_err().to_string();
    assert!(
        message.contains("log format 7") && message.contains(&format!("format {FORMAT_VERSION};")),
        "{message}"
    );

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seven.mcap");
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(
        decision_stream(&path),
        Err(EpisodeError::Version { .. })
    ));
    let seven = EpisodeInfo {
        format_version: 7,
        ..info()
    };
    let refused = EpisodeWriter::create(&dir.path().join("new.mcap"), &seven, &[]);
    assert!(matches!(refused, Err(EpisodeError::Version { .. })));
}

#[test]
fn other_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    for contents in ["", "shopping list, long enough to hold a magic number"] {
        std::fs::write(&path, contents).unwrap();
        for error in [
            read_episode(&path).unwrap_err(),
            decision_stream(&path).unwrap_err(),
        ] {
            assert!(matches!(error, EpisodeError::NotALog { .. }), "{error}");
            assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
        }
    }
    let foreign = dir.path().join("foreign.mcap");
    let mut writer = mcap::Writer::new(std::fs::File::create(&foreign).unwrap()).unwrap();
    writer.finish().unwrap();
    let message = read_episode(&foreign).unwrap_err().to_string();
    assert!(message.contains("no armillary.episode record"), "{message}");
    let missing = read_episode(Path::new("no/such/log.mcap")).unwrap_err();
    assert!(matches!(missing, EpisodeError::Read { .. }), "{missing}");
}

#[test]
fn an_attachment_too_large_to_read_back_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let huge = vec![0; MAX_ATTACHMENT_BYTES + 1];
    let path = dir.path().join("huge.mcap");
    let error =
        EpisodeWriter::create(&path, &info(), &[("weights", "application/octet-stream", &huge)]).unwrap_err();
    assert!(matches!(error, EpisodeError::Attachment { .. }), "{error}");

    let path = dir.path().join("large.mcap");
    let largest = &huge[1..];
    let attachments = [("weights", "application/octet-stream", largest)];
    EpisodeWriter::create(&path, &info(), &attachments)
        .unwrap()
        .finish()
        .unwrap();
    let episode = read_episode(&path).unwrap();
    assert!(episode.complete && episode.attachments[0].1 == largest);
}

#[test]
fn logs_are_listed_sorted_and_an_empty_directory_names_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "").unwrap();
    let message = list_runs(dir.path()).unwrap_err().to_string();
    assert!(message.contains("armillary record"), "{message}");
    assert!(matches!(
        list_runs(&dir.path().join("missing")),
        Err(EpisodeError::Read { .. })
    ));

    let paths = ["a/2.mcap", "a/b/1.mcap", "z.mcap"].map(|name| dir.path().join(name));
    for path in paths.iter().rev() {
        let mut writer = EpisodeWriter::create(path, &info(), &[]).unwrap();
        writer.write_tick(&tick(0), Some(&frame(0)), 0).unwrap();
        writer.finish().unwrap();
    }
    assert_eq!(list_runs(dir.path()).unwrap(), paths);
}
