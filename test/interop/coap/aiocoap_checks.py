"""Checks of CoAP by aiocoap. The one argument is JSON; prints a line for each check: ok NAME, fail NAME: WHY, skip NAME: WHY; then @end."""

import asyncio
import json
import os
import sys
import tempfile

facts = json.loads(sys.argv[1])
only = facts.get("only") or ""
prefix = "aiocoap: "

import aiocoap  # noqa: E402
import aiocoap.resource  # noqa: E402
from aiocoap import Code, Message  # noqa: E402

udp = f"coap://127.0.0.1:{facts['port']}"
tcp = f"coap+tcp://127.0.0.1:{facts['port']}"
ws = f"coap+ws://127.0.0.1:{facts['wsPort']}"


async def ask(context, code, uri, payload=b"", **options):
    message = Message(code=code, uri=uri, payload=payload, **options)
    return await asyncio.wait_for(context.request(message).response, 25)


def expect(response, code, payload=None):
    if response.code != code:
        raise AssertionError(f"expected {code}, got {response.code} {response.payload[:200]!r}")
    if payload is not None and response.payload != payload:
        raise AssertionError(f"expected {payload[:100]!r}, got {response.payload[:100]!r}")


async def keeps(context, base, unique):
    uri = f"{base}/t/{unique}/value"
    expect(await ask(context, Code.PUT, uri, b"one"), Code.CREATED)
    expect(await ask(context, Code.PUT, uri, b"two"), Code.CHANGED)
    expect(await ask(context, Code.GET, uri), Code.CONTENT, b"two")
    expect(await ask(context, Code.POST, uri, b"three"), Code.CHANGED)
    expect(await ask(context, Code.DELETE, uri), Code.DELETED)
    expect(await ask(context, Code.GET, uri), Code.NOT_FOUND)


async def carries(context, base, unique, size=1024 * 1024):
    payload = os.urandom(size)
    uri = f"{base}/t/{unique}/large"
    expect(await ask(context, Code.PUT, uri, payload), Code.CREATED)
    expect(await ask(context, Code.GET, uri), Code.CONTENT, payload)


async def observes(context, base, unique, size=10):
    uri = f"{base}/t/{unique}/observed"
    first = b"0" * size
    await ask(context, Code.PUT, uri, first)
    request = context.request(Message(code=Code.GET, uri=uri, observe=0))
    expect(await asyncio.wait_for(request.response, 10), Code.CONTENT, first)
    seen = asyncio.Queue()
    request.observation.register_callback(lambda response: seen.put_nowait(response.payload))
    for digit in b"123":
        value = bytes([digit]) * size
        await ask(context, Code.PUT, uri, value)
        got = await asyncio.wait_for(seen.get(), 10)
        while got == first:
            got = await asyncio.wait_for(seen.get(), 10)
        if got != value:
            raise AssertionError(f"expected {value[:20]!r}, got {got[:20]!r}")
    request.observation.cancel()


async def large_observed(context, base, unique):
    await observes(context, base, unique, 5000)


def oscore(context, folder):
    from aiocoap.credentials import CredentialsMap

    settings = os.path.join(folder, "oscore")
    os.makedirs(settings, exist_ok=True)
    given = facts["oscore"]
    with open(os.path.join(settings, "settings.json"), "w") as file:
        json.dump(
            {
                "sender-id_hex": given["senderHex"],
                "recipient-id_hex": given["recipientHex"],
                "secret_hex": given["secretHex"],
                "salt_hex": given["saltHex"],
            },
            file,
        )
    context.client_credentials.load_from_dict({f"{udp}/*": {"oscore": {"basedir": settings}}})


async def secured(context, base, unique):
    """OSCORE: everything that plain CoAP does, for the device whose context it is."""
    await keeps(context, base, unique)
    await observes(context, base, f"{unique}/o")
    await carries(context, base, f"{unique}/c", 100 * 1024)


async def run(name, body, base, transports=None, prepare=None):
    label = prefix + name
    if only not in label:
        return
    context = None
    try:
        context = await aiocoap.Context.create_client_context(**({} if transports is None else {"transports": transports}))
        with tempfile.TemporaryDirectory() as folder:
            if prepare is not None:
                prepare(context, folder)
            await asyncio.wait_for(body(context, base, f"{facts['unique']}/{name.replace(' ', '-').replace(',', '')}"), 60)
        print(f"ok {label}", flush=True)
    except Exception as error:  # noqa: BLE001
        print(f"fail {label}: {type(error).__name__} {error}".replace("\n", " "), flush=True)
    finally:
        if context is not None:
            await context.shutdown()


class Firmware(aiocoap.resource.Resource):
    def __init__(self):
        super().__init__()
        self.put = asyncio.Queue()

    async def render_put(self, request):
        self.put.put_nowait(request.payload)
        return Message(code=Code.CHANGED)


async def commands(context, base, unique):
    """A device that is a server: it registers, and gets what others publish for it, in blocks where it is large."""
    endpoint = unique.replace("/", "-")
    site = aiocoap.resource.Site()
    firmware = Firmware()
    site.add_resource(["firmware"], firmware)
    device = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", None))
    try:
        uri = f"{base}/rd?ep={endpoint}&lt=300"
        expect(await ask(device, Code.POST, uri, b"</firmware>", content_format=40), Code.CREATED)
        for size in (10, 200 * 1024):
            payload = os.urandom(size)
            expect(await ask(context, Code.POST, f"{base}/t/dev/{endpoint}/command/put/firmware", payload), Code.CHANGED)
            got = await asyncio.wait_for(firmware.put.get(), 20)
            if got != payload:
                raise AssertionError(f"{len(got)} bytes came instead of {size}")
    finally:
        await device.shutdown()


async def main():
    await run("put, get, post, delete", keeps, udp)
    await run("observes", observes, udp)
    await run("observes what is larger than a block", large_observed, udp)
    await run("1 MiB up and down", carries, udp)
    await run("put, get, post, delete over TCP", keeps, tcp)
    await run("observes over TCP", observes, tcp)
    await run("1 MiB up and down over TCP", carries, tcp)
    await run("put, get, post, delete over WebSocket", keeps, ws)
    await run("observes over WebSocket", observes, ws)
    await run("1 MiB up and down over WebSocket", carries, ws)
    await run("OSCORE", secured, udp, prepare=oscore)
    await run("gets commands, small and large", commands, udp)
    print("@end", flush=True)


asyncio.run(main())
