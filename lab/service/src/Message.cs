using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Lab.Service
{
    public sealed class Request
    {
        public string Method;
        public string Path;
        public string Query;
        public bool Http10;
        public byte[] Body = new byte[0];
        public readonly Dictionary<string, string> Headers =
            new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

        public string Header(string name) => Headers.TryGetValue(name, out string value) ? value : "";

        public bool WantsClose
        {
            get
            {
                string connection = Header("Connection").ToLowerInvariant();
                return Http10 ? !connection.Contains("keep-alive") : connection.Contains("close");
            }
        }

        /// <summary>The integer that the query gives under this name, or the fallback.</summary>
        public int QueryNumber(string name, int fallback)
        {
            foreach (string pair in Query.Split('&'))
            {
                string[] parts = pair.Split(new[] { '=' }, 2);
                if (parts.Length == 2 && parts[0] == name
                    && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int number))
                    return number;
            }
            return fallback;
        }
    }

    public sealed class Response
    {
        public readonly int Status;
        public readonly string Body;
        public readonly List<KeyValuePair<string, string>> Headers = new List<KeyValuePair<string, string>>();

        public Response(int status, Json.Raw body)
        {
            Status = status;
            Body = body.Text;
        }

        public Response With(string name, string value)
        {
            Headers.Add(new KeyValuePair<string, string>(name, value));
            return this;
        }

        public byte[] Encode(bool close, bool bodyless)
        {
            byte[] body = Encoding.UTF8.GetBytes(Body);
            var head = new StringBuilder(256);
            head.Append("HTTP/1.1 ").Append(Status).Append(' ').Append(Reason(Status)).Append("\r\n");
            head.Append("Content-Type: application/json\r\nContent-Length: ").Append(body.Length).Append("\r\n");
            foreach (var header in Headers)
                head.Append(header.Key).Append(": ").Append(header.Value).Append("\r\n");
            head.Append("Connection: ").Append(close ? "close" : "keep-alive").Append("\r\n\r\n");
            byte[] start = Encoding.ASCII.GetBytes(head.ToString());
            var whole = new byte[start.Length + (bodyless ? 0 : body.Length)];
            Buffer.BlockCopy(start, 0, whole, 0, start.Length);
            if (!bodyless)
                Buffer.BlockCopy(body, 0, whole, start.Length, body.Length);
            return whole;
        }

        private static string Reason(int status)
        {
            switch (status)
            {
                case 200: return "OK";
                case 201: return "Created";
                case 400: return "Bad Request";
                case 404: return "Not Found";
                case 405: return "Method Not Allowed";
                case 411: return "Length Required";
                case 413: return "Content Too Large";
                case 431: return "Request Header Fields Too Large";
                default: return "Internal Server Error";
            }
        }
    }
}
