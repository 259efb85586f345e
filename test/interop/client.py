"""A client of deye in stock Python 3 with its msgpack module: nothing else is needed to take part."""
import json, os, socket, struct, sys
import msgpack

HELLO, WELCOME, PUBLISH, CONFIRMED, ACK, REQUEST, REPLY, CHUNK, CANCEL, PING, PONG, GOODBYE = range(12)


class Deye:
    def __init__(self, path, name, role="operator"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.next_id = 65536  # ids from 65536 on always take four bytes, as the protocol asks
        self.messages = []
        self.send(HELLO, {"protocol": "1.0", "name": name, "role": role})
        self.welcome = self.until(WELCOME)[1]

    def send(self, *elements):
        body = msgpack.packb(elements)
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the broker closed the connection")
            data += more
        return data

    def frame(self):
        (length,) = struct.unpack(">I", self.read(4))
        return msgpack.unpackb(self.read(length))

    def until(self, kind):
        while True:
            frame = self.frame()
            if frame[0] == kind:
                return frame
            if frame[0] == PING:
                self.send(PONG, frame[1])
            elif frame[0] == PUBLISH:
                self.messages.append((frame[1], frame[2]))
            elif frame[0] == CONFIRMED:
                self.messages.append((frame[2], frame[3]))
            elif frame[0] == GOODBYE:
                raise ConnectionError(frame[1]["message"])

    def call(self, target, method, params=None, timeout_ms=30000):
        self.next_id += 1
        self.send(REQUEST, self.next_id, target, method, params or {}, timeout_ms)
        _, _, status, body = self.until(REPLY)
        if status != 0:
            raise RuntimeError(f"{body['code']}: {body['message']}")
        return body


deye = Deye(os.environ["DEYE_SOCKET"], "python")
deye.call("broker", "topic.subscribe", {"patterns": ["greetings.*"]})
deye.send(CONFIRMED, 1, "greetings.world", {"from": "python"})
ack = deye.until(ACK)
health = deye.call("procmond", "health_check")
task = deye.call("broker", "task.submit", {"operation": "enumerate_processes", "payload": {"filter": {"pid": os.getpid()}}})
done = deye.call("broker", "task.wait", {"id": task["id"]})
try:
    deye.call("broker", "task.submit", {"operation": "NOT VALID"})
    refused = None
except RuntimeError as error:
    refused = str(error)
json.dump({"messages": deye.messages, "ack": ack, "health": health["status"], "state": done["state"], "processes": done["result"]["processes"], "pid": os.getpid(), "refused": refused}, sys.stdout)
