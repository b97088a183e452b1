"""An interface engine made of python-hl7, as it comes: its MLLP client and its MLLP server.

engine.py send HOST PORT [CA CERT KEY NAME]
                                         messages from standard input (one a line, segments
                                         divided by \\r written so); prints code and MSA-2 of each
engine.py listen                         prints its port, then `MSH-9 MSH-10` of each message that
                                         comes, which it answers with AA
"""

import asyncio
import ssl
import sys

import hl7
from hl7.mllp import open_hl7_connection, start_hl7_server


async def send(host, port, tls):
    context, name = None, None
    if tls:
        authority, certificate, key, name = tls
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(certificate, key)
    reader, writer = await open_hl7_connection(
        host, int(port), encoding="utf-8", ssl=context, server_hostname=name
    )
    for line in sys.stdin:
        writer.writemessage(hl7.parse(line.rstrip("\n").replace("\\r", "\r")))
        await writer.drain()
        answer = await asyncio.wait_for(reader.readmessage(), timeout=30)
        acknowledgement = answer.segment("MSA")
        print(acknowledgement[1], acknowledgement[2], flush=True)
    writer.close()


async def listen():
    async def serve(reader, writer):
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                header = message.segment("MSH")
                print(header[9], header[10], flush=True)
                writer.writemessage(message.create_ack())
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    server = await start_hl7_server(serve, "127.0.0.1", 0, encoding="utf-8")
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if sys.argv[1] == "send":
    asyncio.run(send(sys.argv[2], sys.argv[3], sys.argv[4:]))
else:
    asyncio.run(listen())
