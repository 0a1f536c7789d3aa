"""An independent reader of mail: what it prints as JSON lines is what a mail program would see.

`serve` is an SMTP server on a free port, printed first; it ends when its input is closed.
`parse FILE` reads one message.
"""
import asyncio
import json
import sys
from email import message_from_bytes, policy


def seen(content, envelope_to=None):
    message = message_from_bytes(content, policy=policy.default)
    part = lambda kind: message.get_body((kind,)).get_content().replace("\r\n", "\n").rstrip("\n")
    return {
        "from": str(message["From"]), "to": str(message["To"]), "subject": str(message["Subject"]),
        "id": str(message["Message-ID"]), "date": str(message["Date"]), "bcc": message["Bcc"],
        "type": message.get_content_type(), "text": part("plain"), "html": part("html"),
        "defects": [str(it) for it in message.defects], "envelopeTo": envelope_to,
    }


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        answers = {"nobody": "550 5.1.1 no such mailbox", "later": "451 4.3.0 try later", "greedy": "552 5.2.2 full"}
        if address.split("@")[0] in answers:
            return answers[address.split("@")[0]]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        print(json.dumps(seen(envelope.content, envelope.rcpt_tos)), flush=True)
        return "250 OK"


async def serve():
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), enable_SMTPUTF8=True), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if sys.argv[1] == "serve":
    asyncio.run(serve())
else:
    with open(sys.argv[2], "rb") as file:
        print(json.dumps(seen(file.read())))
