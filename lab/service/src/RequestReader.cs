using System;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Lab.Service
{
    /// <summary>The request cannot be understood; the connection ends after an answer with this status.</summary>
    public sealed class BadRequestException : Exception
    {
        public readonly int Status;

        public BadRequestException(int status, string message) : base(message)
        {
            Status = status;
        }
    }

    /// <summary>Reads one HTTP/1.x request after the other from a socket; heads up to 16 KiB, bodies up to 1 MiB.</summary>
    public sealed class RequestReader
    {
        private const int HeadLimit = 16 * 1024;
        private const int BodyLimit = 1024 * 1024;
        private static readonly byte[] Continue = Encoding.ASCII.GetBytes("HTTP/1.1 100 Continue\r\n\r\n");

        private readonly Socket socket;
        private readonly byte[] buffer = new byte[HeadLimit];
        private int filled;

        public RequestReader(Socket socket)
        {
            this.socket = socket;
        }

        /// <summary>Waits until the first byte of a request is here; false when the client is gone.</summary>
        public bool WaitForFirstByte() => filled > 0 || Receive();

        /// <summary>The whole request, or null when the client left in the middle of it.</summary>
        public Request Read()
        {
            int end;
            while ((end = EndOfHead()) < 0)
            {
                if (filled == buffer.Length)
                    throw new BadRequestException(431, "the head is larger than 16 KiB");
                if (!Receive())
                    return null;
            }
            Request request = ParseHead(Encoding.ASCII.GetString(buffer, 0, end));
            Consume(end + 4);
            return ReadBody(request) ? request : null;
        }

        private bool Receive()
        {
            int count = socket.Receive(buffer, filled, buffer.Length - filled, SocketFlags.None);
            filled += count;
            return count > 0;
        }

        private void Consume(int count)
        {
            filled -= count;
            Buffer.BlockCopy(buffer, count, buffer, 0, filled);
        }

        private int EndOfHead()
        {
            for (int i = 0; i + 3 < filled; i++)
                if (buffer[i] == '\r' && buffer[i + 1] == '\n' && buffer[i + 2] == '\r' && buffer[i + 3] == '\n')
                    return i;
            return -1;
        }

        private static Request ParseHead(string head)
        {
            string[] lines = head.Split(new[] { "\r\n" }, StringSplitOptions.None);
            string[] parts = lines[0].Split(' ');
            if (parts.Length != 3 || !parts[2].StartsWith("HTTP/1.", StringComparison.Ordinal))
                throw new BadRequestException(400, "the request line is not HTTP/1.x");
            string[] target = parts[1].Split(new[] { '?' }, 2);
            var request = new Request
            {
                Method = parts[0],
                Path = target[0],
                Query = target.Length == 2 ? target[1] : "",
                Http10 = parts[2] == "HTTP/1.0",
            };
            for (int i = 1; i < lines.Length; i++)
                ParseHeader(request, lines[i]);
            return request;
        }

        private static void ParseHeader(Request request, string line)
        {
            int colon = line.IndexOf(':');
            if (colon <= 0)
                throw new BadRequestException(400, "a header line has no name");
            request.Headers[line.Substring(0, colon)] = line.Substring(colon + 1).Trim();
        }

        private bool ReadBody(Request request)
        {
            if (request.Header("Transfer-Encoding") != "")
                throw new BadRequestException(411, "send the body with Content-Length");
            request.Body = new byte[BodyLength(request)];
            if (request.Header("Expect").ToLowerInvariant() == "100-continue")
                socket.Send(Continue);
            int have = Math.Min(filled, request.Body.Length);
            Buffer.BlockCopy(buffer, 0, request.Body, 0, have);
            Consume(have);
            while (have < request.Body.Length)
            {
                int count = socket.Receive(request.Body, have, request.Body.Length - have, SocketFlags.None);
                if (count == 0)
                    return false;
                have += count;
            }
            return true;
        }

        private static int BodyLength(Request request)
        {
            string text = request.Header("Content-Length");
            if (text == "")
                return 0;
            if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long length))
                throw new BadRequestException(400, "Content-Length is not a number");
            if (length > BodyLimit)
                throw new BadRequestException(413, "the body is larger than 1 MiB");
            return (int)length;
        }
    }
}
