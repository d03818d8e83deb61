using System;
using System.Net.Sockets;
using System.Threading;
using Mono.Unix;
using Mono.Unix.Native;

namespace Lab.Service
{
    /// <summary>Starts the service, waits for SIGTERM or SIGINT and stops it without losing a request.</summary>
    public static class Program
    {
        // A real service reads its reference data before it listens; this stands for it.
        private static readonly TimeSpan ReferenceDataTime = TimeSpan.FromMilliseconds(700);
        private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(9.5);

        public static int Main()
        {
            try
            {
                return Run(Settings.FromEnvironment());
            }
            catch (SettingsException problem)
            {
                Log("cannot start: " + problem.Message);
                return 2;
            }
        }

        private static int Run(Settings settings)
        {
            // Made first, so that a signal during the start is not lost.
            var signals = new[] { new UnixSignal(Signum.SIGTERM), new UnixSignal(Signum.SIGINT) };
            Thread.Sleep(ReferenceDataTime);
            var server = new HttpServer(settings.Address, settings.Port, new Routes(settings));
            Listen(server, settings);
            Log($"{settings.Service} {BuildInfo.Version} serves on {settings.Address}:{settings.Port}");
            UnixSignal.WaitAny(signals, -1);
            Log("stopping: finishing what is in flight");
            int cut = server.Stop(StopWithin);
            Log(cut == 0 ? "stopped, nothing was cut" : $"stopped, {cut} connections were cut after {StopWithin.TotalSeconds} s");
            return cut == 0 ? 0 : 1;
        }

        private static void Listen(HttpServer server, Settings settings)
        {
            try
            {
                server.Start();
            }
            catch (SocketException problem)
            {
                throw new SettingsException($"LISTEN {settings.Address}:{settings.Port}: {problem.Message}");
            }
        }

        private static void Log(string text)
        {
            Console.WriteLine($"{DateTime.UtcNow:yyyy-MM-ddTHH:mm:ss.fffZ} {text}");
            Console.Out.Flush();
        }
    }
}
