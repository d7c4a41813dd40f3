#!/usr/bin/python3
"""The HTTP API with requests and urllib. Prints `ok NAME` or `fail NAME: WHY`, and `@end`."""

import base64
import json
import sys
import threading
import urllib.error
import urllib.request

import requests

FACTS = json.loads(sys.argv[1])
BASE = FACTS["base"]
LIMIT = 20


def session():
    made = requests.Session()
    made.auth = (FACTS["username"], FACTS["password"])
    # Else its environment counts more than `verify`.
    made.trust_env = False
    made.verify = FACTS["caFile"]
    return made


def same(found, wanted):
    if found != wanted:
        raise AssertionError("%r, not %r" % (found, wanted))


def values(name):
    http = session()
    url = "%s/v1/topics/%s/value" % (BASE, name)
    same(http.post(url, data="x", timeout=LIMIT).status_code, 202)
    first = http.put(url, json={"t": 1}, timeout=LIMIT)
    same(first.status_code, 201)
    same(http.put(url, json={"t": 2}, headers={"If-Match": '"other"'}, timeout=LIMIT).status_code, 412)
    same(http.put(url, json={"t": 2}, headers={"If-Match": first.headers["ETag"]}, timeout=LIMIT).status_code, 202)
    answer = http.get(url, timeout=LIMIT)
    same((answer.json(), answer.headers["Content-Type"]), ({"t": 2}, "application/json"))
    same(http.get(url, headers={"If-None-Match": answer.headers["ETag"]}, timeout=LIMIT).status_code, 304)
    same(http.head(url, timeout=LIMIT).status_code, 200)
    same(http.delete(url, timeout=LIMIT).status_code, 204)
    same(http.get(url, timeout=LIMIT).status_code, 404)


def chunked(name):
    http = session()
    parts = [b"a" * 1000, b"b" * 50000, b"c"]
    same(http.put("%s/v1/topics/%s" % (BASE, name), data=iter(parts), timeout=LIMIT).status_code, 201)
    same(http.get("%s/v1/topics/%s" % (BASE, name), timeout=LIMIT).content, b"".join(parts))


def queue(name):
    http = session()
    lines = "".join(json.dumps({"queue": name, "payload": str(i)}) + "\n" for i in range(10))
    sent = http.post(BASE + "/v1/messages", data=lines, headers={"Content-Type": "application/x-ndjson"}, timeout=LIMIT)
    same(sent.status_code // 100, 2)
    got = []
    while len(got) < 10:
        answer = http.post("%s/v1/queues/%s/receive?max=4&wait=5s" % (BASE, name), timeout=LIMIT)
        same(answer.status_code, 200)
        for each in answer.json()["messages"]:
            got.append(each["payload"])
            done = http.post("%s/v1/queues/%s/ack" % (BASE, name), params={"delivery": each["delivery"]}, timeout=LIMIT)
            same(done.status_code, 204)
    same(got, [str(i) for i in range(10)])
    same(http.post("%s/v1/queues/%s/receive" % (BASE, name), timeout=LIMIT).status_code, 204)


def lines(name):
    url = "%s/v1/topics/%s" % (BASE, name)
    http = session()
    with http.get(url, headers={"Accept": "application/x-ndjson"}, stream=True, timeout=LIMIT) as stream:
        sender = threading.Thread(target=lambda: [session().post(url, data=str(i), timeout=LIMIT) for i in range(20)])
        sender.start()
        got = []
        for line in stream.iter_lines(chunk_size=1):
            if line:
                got.append(json.loads(line)["payload"])
            if len(got) == 20:
                break
        sender.join()
    same(got, [str(i) for i in range(20)])


def by_urllib(name):
    import ssl

    context = ssl.create_default_context(cafile=FACTS["caFile"])
    user = "%s:%s" % (FACTS["username"], FACTS["password"])
    known = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}

    def ask(method, headers, data=None):
        asked = urllib.request.Request("%s/v1/topics/%s" % (BASE, name), data, headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=LIMIT, context=context) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read(), refused.headers

    same(ask("PUT", known, "grüße".encode())[0], 201)
    same(ask("GET", known)[:2], (200, "grüße".encode()))
    status, problem, headers = ask("PUT", {}, b"x")
    same((status, headers["Content-Type"], json.loads(problem)["status"]), (401, "application/problem+json", 401))
    same([each.split(" ")[0] for each in headers.get_all("WWW-Authenticate")], ["Bearer", "Basic"])


CHECKS = [
    ("requests: values and conditions", values),
    ("requests: a body in chunks", chunked),
    ("requests: a batch to a queue, received and settled", queue),
    ("requests: a stream of JSON lines", lines),
    ("urllib: there and back, and who is nobody", by_urllib),
]

for index, (title, run) in enumerate(CHECKS):
    try:
        run("%sx%d" % (FACTS["unique"], index))
        print("ok " + title)
    except Exception as why:  # whatever a check throws is its failure
        print("fail %s: %s %s" % (title, type(why).__name__, str(why).replace("\n", " ")))
print("@end")
