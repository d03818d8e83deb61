using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Text;
using System.Web.Script.Serialization;
using NUnit.Framework;

namespace Lab.Smoke
{
    /// <summary>One answer of the node under test.</summary>
    public sealed class Answer
    {
        public int Status;
        public string ServedBy;
        public string Version;
        public string Node;
        public string ContentType;
        public Dictionary<string, object> Body;
    }

    /// <summary>The node under test: TIDEGATE_URL, aimed at TIDEGATE_NODE, expected to serve TIDEGATE_VERSION.</summary>
    public static class Target
    {
        private const int TimeoutMilliseconds = 15 * 1000;
        private const string AimHeader = "X-Tidegate-Node";

        public static string Node => Required("TIDEGATE_NODE");

        public static string Version => Required("TIDEGATE_VERSION");

        public static Answer Get(string path) => Receive(Request("GET", path));

        public static Answer Post(string path, byte[] body)
        {
            HttpWebRequest request = Request("POST", path);
            request.ContentType = "application/json";
            request.ContentLength = body.Length;
            using (Stream stream = request.GetRequestStream())
                stream.Write(body, 0, body.Length);
            return Receive(request);
        }

        private static string RunHeader => Environment.GetEnvironmentVariable("TIDEGATE_RUN_HEADER");

        private static HttpWebRequest Request(string method, string path)
        {
            var request = (HttpWebRequest)WebRequest.Create(Required("TIDEGATE_URL").TrimEnd('/') + path);
            request.Method = method;
            request.Timeout = TimeoutMilliseconds;
            request.ReadWriteTimeout = TimeoutMilliseconds;
            request.Proxy = null;
            request.ServicePoint.Expect100Continue = false;
            request.Headers[AimHeader] = Node;
            // By it HAProxy's log tells this run's requests from others of the same address.
            if (RunHeader != null)
                request.Headers[RunHeader] = Required("TIDEGATE_RUN");
            return request;
        }

        private static Answer Receive(HttpWebRequest request)
        {
            using (HttpWebResponse response = Response(request))
                return new Answer
                {
                    Status = (int)response.StatusCode,
                    ServedBy = response.Headers["X-Served-By"],
                    Version = response.Headers["X-Version"],
                    Node = response.Headers["X-Node"],
                    ContentType = response.ContentType,
                    Body = Parse(response),
                };
        }

        private static HttpWebResponse Response(HttpWebRequest request)
        {
            try
            {
                return (HttpWebResponse)request.GetResponse();
            }
            catch (WebException problem) when (problem.Response is HttpWebResponse response)
            {
                return response;
            }
        }

        private static Dictionary<string, object> Parse(HttpWebResponse response)
        {
            using (var reader = new StreamReader(response.GetResponseStream(), Encoding.UTF8))
            {
                string text = reader.ReadToEnd();
                return response.ContentType.StartsWith("application/json", StringComparison.Ordinal)
                    ? new JavaScriptSerializer().Deserialize<Dictionary<string, object>>(text)
                    : new Dictionary<string, object>();
            }
        }

        private static string Required(string name)
        {
            string value = Environment.GetEnvironmentVariable(name);
            Assert.That(value, Is.Not.Null.And.Not.Empty, "the environment variable " + name + " is not set");
            return value;
        }
    }
}
