using System;
using System.Diagnostics;
using System.Linq;
using System.Security.Cryptography;
using System.Threading;

namespace Lab.Service
{
    /// <summary>What the service answers, by path.</summary>
    public sealed class Routes : IApplication
    {
        private const int ReportMilliseconds = 3000;
        private const int LongestReport = 10 * 1000;

        private readonly Settings settings;
        private readonly Cache cache = new Cache();
        private readonly string started = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ");
        private readonly int pid = Process.GetCurrentProcess().Id;
        private int orders;

        public Routes(Settings settings)
        {
            this.settings = settings;
        }

        public Response Answer(Request request) => Signed(Route(request));

        public Response Refuse(BadRequestException problem) =>
            Signed(new Response(problem.Status, Json.Object("error", problem.Message)));

        private Response Signed(Response response) =>
            response.With("X-Version", BuildInfo.Version).With("X-Node", settings.Node);

        private Response Route(Request request)
        {
            switch (request.Path)
            {
                case "/health": return Reading(request, Health);
                case "/quotes": return Reading(request, ShowQuotes);
                case "/report": return Reading(request, Report);
                case "/orders": return request.Method == "POST" ? PlaceOrder(request) : WrongMethod("POST");
                default: return new Response(404, Json.Object("error", "no such path"));
            }
        }

        private static Response Reading(Request request, Func<Request, Response> answer) =>
            request.Method == "GET" || request.Method == "HEAD" ? answer(request) : WrongMethod("GET, HEAD");

        private static Response WrongMethod(string allowed) =>
            new Response(405, Json.Object("error", "method not allowed")).With("Allow", allowed);

        private Response Health(Request request)
        {
            Json.Raw components = Json.Object("database", "ok", "cache", cache.IsWarm ? "ok" : "warming");
            return new Response(200, Json.Object(
                "service", settings.Service, "version", BuildInfo.Version, "digest", settings.Digest, "pid", pid,
                "started", started, "status", "ok", "components", components));
        }

        private Response ShowQuotes(Request request)
        {
            cache.Use();
            return new Response(200, Json.Object(
                "service", settings.Service, "version", BuildInfo.Version, "quotes", Quotes.Now()));
        }

        private Response Report(Request request)
        {
            int milliseconds = Math.Min(request.QueryNumber("ms", ReportMilliseconds), LongestReport);
            Thread.Sleep(milliseconds);
            return new Response(200, Json.Object("report", "positions", "milliseconds", milliseconds));
        }

        private Response PlaceOrder(Request request)
        {
            string id = $"{settings.Node}-{pid}-{Interlocked.Increment(ref orders)}";
            return new Response(201, Json.Object("id", id, "bytes", request.Body.Length, "sha256", Sha256(request.Body)))
                .With("Location", "/orders/" + id);
        }

        private static string Sha256(byte[] body)
        {
            using (var hash = SHA256.Create())
                return string.Concat(hash.ComputeHash(body).Select(b => b.ToString("x2")));
        }
    }
}
