#!/usr/bin/env python3
"""An SMTP server that keeps what it is given: the next hop in tests and in the demo.

    sink.py --port PORT --dir DIR [--no-8bitmime] [--reply STAGE:REGEX:TEXT]...

Each message becomes DIR/NNNNNN.eml (CRLF, dots unstuffed, no line added) and
DIR/NNNNNN.json: client, helo, mail_from, mail_args, rcpts. A --reply answers TEXT
where STAGE (mail, rcpt, data, eom) has an argument that REGEX finds; "data" and "eom"
look at the first recipient. Listens on 127.0.0.1 only. Prints "ready" when it listens.
"""
import argparse
import asyncio
import json
import os
import re
import signal
import sys

LINE_MAX = 1 << 20


class Sink:
    def __init__(self, options):
        self.dir = options.dir
        self.eightbit = not options.no_8bitmime
        self.replies = []
        for rule in options.reply:
            stage, regex, text = rule.split(":", 2)
            self.replies.append((stage, re.compile(regex), text))
        self.count = 0

    def reply(self, stage, argument, default):
        for at, regex, text in self.replies:
            if at == stage and regex.search(argument):
                return text
        return default

    def keep(self, envelope, data):
        self.count += 1
        name = os.path.join(self.dir, "%06d" % self.count)
        with open(name + ".eml.tmp", "wb") as f:
            f.write(data)
        with open(name + ".json", "w", encoding="utf-8") as f:
            json.dump(envelope, f, indent=1)
            f.write("\n")
        os.rename(name + ".eml.tmp", name + ".eml")  # complete when it has its name

    async def session(self, reader, writer):
        client = writer.get_extra_info("peername")
        try:
            await self.talk(reader, writer, client[0])
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def talk(self, reader, writer, client):
        def say(text):
            writer.write(text.encode("utf-8", "surrogateescape") + b"\r\n")

        helo, envelope = "", None
        say("220 sink ESMTP")
        while True:
            await writer.drain()
            line = (await reader.readuntil(b"\n")).rstrip(b"\r\n")
            text = line.decode("utf-8", "surrogateescape")
            verb = text.split(" ", 1)[0].upper()
            path = re.match(r"(?i)(?:MAIL FROM|RCPT TO):\s*<([^>]*)>\s*(.*)$", text)
            if verb == "EHLO":
                helo, envelope = text[5:], None
                say("250-sink")
                if self.eightbit:
                    say("250-8BITMIME")
                say("250-PIPELINING")
                say("250-ENHANCEDSTATUSCODES")
                say("250-DSN")
                say("250 SIZE 104857600")
            elif verb == "HELO":
                helo, envelope = text[5:], None
                say("250 sink")
            elif verb == "MAIL" and path:
                answer = self.reply("mail", path[1], "250 2.1.0 Ok")
                if answer[0] == "2":
                    envelope = {"client": client, "helo": helo, "mail_from": path[1],
                                "mail_args": path[2], "rcpts": []}
                say(answer)
            elif verb == "RCPT" and path and envelope is not None:
                answer = self.reply("rcpt", path[1], "250 2.1.5 Ok")
                if answer[0] == "2":
                    envelope["rcpts"].append(path[1])
                say(answer)
            elif verb == "DATA" and envelope and envelope["rcpts"]:
                answer = self.reply("data", envelope["rcpts"][0], "354 End data with <CR><LF>.<CR><LF>")
                say(answer)
                if answer[0] != "3":
                    envelope = None
                    continue
                await writer.drain()
                body = bytearray()
                while (line := await reader.readuntil(b"\n")) not in (b".\r\n", b".\n"):
                    body += line[1:] if line.startswith(b".") else line
                answer = self.reply("eom", envelope["rcpts"][0], "250 2.0.0 Ok: kept")
                if answer[0] == "2":
                    self.keep(envelope, bytes(body))
                say(answer)
                envelope = None
            elif verb == "RSET":
                envelope = None
                say("250 2.0.0 Ok")
            elif verb == "NOOP":
                say("250 2.0.0 Ok")
            elif verb == "QUIT":
                say("221 2.0.0 Bye")
                await writer.drain()
                return
            else:
                say("503 5.5.1 Bad sequence of commands")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--no-8bitmime", action="store_true")
    parser.add_argument("--reply", action="append", default=[])
    options = parser.parse_args()
    os.makedirs(options.dir, exist_ok=True)
    sink = Sink(options)
    server = await asyncio.start_server(sink.session, "127.0.0.1", options.port, limit=LINE_MAX)
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    print("ready", flush=True)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
