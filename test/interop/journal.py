"""Reads a journal of deye from what deye-store(7) says, and prints its tasks as JSON. Nothing but Python 3 is needed."""
import json, pathlib, sys, zlib

TASK = "seq:number submittedAtMs:number"
PROGRESS = "state:number attempt:number token:text atMs:number collectorId:text? readyAtMs:number? delayMs:number? error:error? excluded:text*"
SPEC = ("namespace:text id:text operation:text priority:number requires:text* labels:map collectorType:text? collectorId:text? "
        "timeoutMs:number maxRetries:number backoffBaseMs:number backoffCapMs:number metadata:map correlation_id:text? "
        "parent_id:text? root_id:text? sequence:number? stage:text? tags:map? payload:body")
SPEC = " ".join("spec." + field for field in SPEC.split())
KINDS = {1: f"{TASK} {SPEC}", 2: f"seq:number {PROGRESS} result:body?",
         3: "seq:number attempt:number collectorId:text startedAtMs:number endedAtMs:number outcome:number error:error?",
         4: "namespace:text key:text value:text?", 5: f"{TASK} {PROGRESS} {SPEC}", 6: "seqs:number*", 7: "nextSeq:number", 8: "level:number", 9: "beforeMs:number", 10: "seqs:number*"}
STATES = ["pending", "in_progress", "retrying", "completed", "dead_letter", "cancelled"]

class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0
    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]
    def number(self):
        byte = self.take(1)[0]
        return byte & 127 | (self.number() << 7 if byte > 127 else 0)
    def read(self, form):
        if form[-1] == "?": return self.read(form[:-1]) if self.take(1)[0] else None
        if form[-1] == "*": return [self.read(form[:-1]) for _ in range(self.number())]
        if form == "number": return self.number()
        if form == "text": return self.take(self.number()).decode()
        if form == "map": return {self.read("text"): self.read("text") for _ in range(self.number())}
        if form == "error": return {"code": self.read("text"), "message": self.read("text")}
        size, crc = self.number(), int.from_bytes(self.take(4), "big")
        assert zlib.crc32(self.take(size)) == crc, "a body is damaged"
        return self.data[self.at - size:self.at].hex()

def batches(data, store):
    salt, at = data[40:56], 4096
    while data[at:at + 32] == salt + store:
        number = lambda offset, size: int.from_bytes(data[at + offset:at + offset + size], "big")
        size = number(36, 4)
        if zlib.crc32(data[at:at + 124] + data[at + 128:at + 128 + size]) != number(124, 4): return
        yield number(32, 1), number(72, 8), number(116, 8), number(64, 4), number(124, 4), data[at + 128:at + 128 + size]
        at += (128 + size + 4095) // 4096 * 4096

directory = pathlib.Path(sys.argv[1])
store = bytes.fromhex(json.loads((directory / "journal.json").read_text())["store_id"])
found = [batch for path in sorted(directory.glob("*.journal")) for batch in batches(path.read_bytes(), store)]
tasks, chain, expected = {}, None, max([1] + [floor for kind, floor, *_ in found if kind != 3])
for kind, _, ordinal, before, crc, body in (batch for batch in found if batch[2] >= expected):
    assert ordinal == expected and chain in (None, before), f"batch {ordinal} does not carry on"
    expected, chain, records = ordinal + 1, crc, Bytes(body)
    while records.at < len(body):
        key, version, _ = records.take(1)[0], records.take(1)[0], records.take(4)
        assert key in KINDS and version == 1, f"kind {key}, version {version} is of a newer deye"
        record = {name: records.read(form) for name, form in (field.split(":") for field in KINDS[key].split())}
        if key in (1, 5):
            tasks[record["seq"]] = {"state": 0, "attempt": 0, "token": "", "excluded": [], "atMs": record["submittedAtMs"], **record}
        if key == 2: tasks.get(record["seq"], {}).update({k: v for k, v in record.items() if k != "collectorId" or v is not None})
        if key == 6: tasks = {seq: task for seq, task in tasks.items() if seq not in record["seqs"]}
        if key == 10: [tasks[seq].update({"spec.payload": "", "result": None}) for seq in record["seqs"] if seq in tasks]
print(json.dumps([{**task, "state": STATES[task["state"]]} for task in tasks.values()]))
