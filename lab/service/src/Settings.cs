using System;
using System.Globalization;
using System.IO;
using System.Net;

namespace Lab.Service
{
    public sealed class SettingsException : Exception
    {
        public SettingsException(string message) : base(message) { }
    }

    /// <summary>What the environment says: SERVICE_NAME, LISTEN (address:port), NODE, DIGEST_FILE.</summary>
    public sealed class Settings
    {
        public string Service { get; private set; }
        public string Node { get; private set; }
        public IPAddress Address { get; private set; }
        public int Port { get; private set; }

        /// <summary>Read once, at the start: the digest of the release that this process runs, not of the one on disk now.</summary>
        public string Digest { get; private set; }

        public static Settings FromEnvironment()
        {
            var endpoint = ParseListen(Required("LISTEN"));
            return new Settings
            {
                Service = Required("SERVICE_NAME"),
                Node = Required("NODE"),
                Address = endpoint.Address,
                Port = endpoint.Port,
                Digest = ReadDigest(Required("DIGEST_FILE")),
            };
        }

        private static string Required(string name)
        {
            string value = Environment.GetEnvironmentVariable(name);
            if (string.IsNullOrEmpty(value))
                throw new SettingsException($"the environment variable {name} is not set");
            return value;
        }

        private static IPEndPoint ParseListen(string text)
        {
            int colon = text.LastIndexOf(':');
            IPAddress address = null;
            int port = 0;
            bool valid = colon > 0
                && IPAddress.TryParse(text.Substring(0, colon), out address)
                && int.TryParse(text.Substring(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port)
                && port > 0 && port <= IPEndPoint.MaxPort;
            if (!valid)
                throw new SettingsException($"LISTEN is '{text}'; it must be address:port, as 127.0.0.1:8080");
            return new IPEndPoint(address, port);
        }

        private static string ReadDigest(string path)
        {
            try
            {
                return File.ReadAllText(path).Trim();
            }
            catch (IOException problem)
            {
                throw new SettingsException($"DIGEST_FILE {path} cannot be read: {problem.Message}");
            }
        }
    }
}
