#!/usr/bin/env python3
"""Offer an SMTP server one TLS version after STARTTLS, and say what it answers.

    tls.py PORT VERSION		TLSv1, TLSv1_1, TLSv1_2 or TLSv1_3

Prints "accepted VERSION CIPHER" or "refused: the server's alert"; "not offered: ..."
if it is this client that could not. The security level is 0, so that the client's own
library does not refuse old versions before the server is asked.
"""
import socket
import ssl
import sys
import warnings


def main():
    warnings.simplefilter("ignore", DeprecationWarning)
    version = getattr(ssl.TLSVersion, sys.argv[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = version
    context.maximum_version = version
    sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 120)
    stream = sock.makefile("rb")
    stream.readline()
    sock.sendall(b"EHLO tls\r\n")
    while stream.readline()[3:4] == b"-":
        pass
    sock.sendall(b"STARTTLS\r\n")
    if not stream.readline().startswith(b"220"):
        return "no STARTTLS"
    try:
        sock = context.wrap_socket(sock)
    except ssl.SSLError as e:
        text = str(e)
        if "alert" in text.lower():
            return "refused: " + text
        return "not offered: " + text
    except OSError as e:
        return "refused: " + str(e)
    return "accepted %s %s" % (sock.version(), sock.cipher()[0])


print(main())
