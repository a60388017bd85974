"""Opens a run log with the public MCAP reader and checks that others can read what we write.

    pip install mcap mcap-protobuf-support foxglove-schemas-protobuf
    python read_log.py LOG

Prints message counts a topic, image size and encoding, and joint names; exits with 1 on any mismatch.
"""

import collections
import json
import sys

from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

JSON_TOPICS = {"/capture/state", "/encode", "/filter", "/plan", "/guard", "/actuate", "/record"}
PROTOBUF_TOPICS = {
    "/capture": "foxglove.RawImage",
    "/capture/joints": "foxglove.JointStates",
    "/actuate/joints": "foxglove.JointStates",
}
SIDE = 64


def main(path):
    problems = []

    def expect(condition, message):
        if not condition:
            problems.append(message)

    counts = collections.Counter()
    images, joint_names = set(), set()
    with open(path, "rb") as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()], validate_crcs=True)
        info = {record.name: record.metadata for record in reader.iter_metadata()}.get("armillary.episode")
        expect(info is not None, "no armillary.episode metadata record")
        expected_names = json.loads(info["joint_names"]) if info else []
        attachments = [attachment.name for attachment in reader.iter_attachments()]
        for schema, channel, message in reader.iter_messages():
            topic = channel.topic
            counts[topic] += 1
            if topic in JSON_TOPICS:
                expect(schema.encoding == "jsonschema", f"{topic}: schema encoding {schema.encoding}")
                row, properties = json.loads(message.data), json.loads(schema.data)["properties"]
                expect(row.keys() == properties.keys(), f"{topic}: fields {list(row)} differ from the schema")
                expect(row["tick"] == message.sequence, f"{topic}: tick {row['tick']} at sequence {message.sequence}")
            else:
                expect(topic in PROTOBUF_TOPICS, f"unknown topic {topic}")
                expect(schema.name == PROTOBUF_TOPICS.get(topic), f"{topic}: schema {schema.name}")
        for _, channel, _, decoded in reader.iter_decoded_messages(topics=list(PROTOBUF_TOPICS)):
            if channel.topic == "/capture":
                images.add((decoded.width, decoded.height, decoded.step, decoded.encoding, len(decoded.data)))
            else:
                joint_names.add(tuple(joint.name for joint in decoded.joints))
    ticks = counts["/record"]
    expect(ticks > 0, "no ticks")
    for topic in JSON_TOPICS | PROTOBUF_TOPICS.keys() - {"/capture"}:
        expect(counts[topic] == ticks, f"{topic}: {counts[topic]} messages for {ticks} ticks")
    expect(counts["/capture"] <= ticks, "more frames than ticks")
    expect(images == {(SIDE, SIDE, 3 * SIDE, "rgb8", 3 * SIDE * SIDE)}, f"images {images}")
    expect(joint_names == {tuple(expected_names)}, f"joints {joint_names} instead of {expected_names}")

    for topic in sorted(counts):
        print(f"{topic}: {counts[topic]}")
    for width, height, step, encoding, size in images:
        print(f"image: {width}x{height} {encoding}, step {step}, {size} bytes")
    print(f"joints: {', '.join(expected_names)}")
    print(f"attachments: {', '.join(attachments) or 'none'}")
    for problem in problems:
        print(f"MISMATCH: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
