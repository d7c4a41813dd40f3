#!/usr/bin/python3
"""Runs the public suite eclipse/paho.mqtt.testing from a checkout of it, against any host and port.

    paho_suite.py CHECKOUT client_test|client_test5 HOST PORT

The suite's own command line cannot be given a port together with what unittest takes. Prints `ok NAME` or `fail NAME: WHY`.
"""

import importlib
import logging
import sys
import unittest

SKIPPED = {
    "test_flow_control2": "waits for ever with every broker",
}


class Lines(unittest.TestResult):
    def addSuccess(self, test):
        print("ok " + name_of(test), flush=True)

    def addFailure(self, test, err):
        print("fail %s: %s" % (name_of(test), str(err[1]).replace("\n", " ") or err[0].__name__), flush=True)

    addError = addFailure


def name_of(test):
    return test.id().rsplit(".", 1)[-1].replace("setUpClass (client_test", "setUp (client_test")


def main():
    checkout, module_name, host, port = sys.argv[1:5]
    sys.path.insert(0, checkout + "/interoperability")
    logging.getLogger().setLevel(logging.CRITICAL)
    module = importlib.import_module(module_name)
    prefix = "client_test5/" if module_name.endswith("5") else ""
    module.host = host
    module.port = int(port)
    module.topic_prefix = prefix
    module.topics = [prefix + topic for topic in ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")]
    module.wildtopics = [prefix + topic for topic in ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")]
    module.nosubscribe_topics = ("test/nosubscribe",)
    suite = unittest.TestSuite()
    for test in flatten(unittest.defaultTestLoader.loadTestsFromModule(module)):
        if name_of(test) in SKIPPED:
            print("skip %s: %s" % (name_of(test), SKIPPED[name_of(test)]), flush=True)
        else:
            suite.addTest(test)
    suite.run(Lines())
    print("@end", flush=True)


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


main()
