using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace Lab.Service
{
    /// <summary>A small HTTP/1.1 server, one thread a connection, whose stop loses no request.</summary>
    public sealed class HttpServer
    {
        private const int Backlog = 512;
        private const int StackSize = 256 * 1024;
        private const int AcceptPause = 100 * 1000;  // microseconds

        // A client may have sent a request on a connection that looks idle to us: idle ones stay this long after the stop.
        private static readonly TimeSpan IdleGrace = TimeSpan.FromMilliseconds(500);

        private readonly Socket listener;
        private readonly IPEndPoint endpoint;
        private readonly IApplication application;
        private readonly HashSet<Connection> connections = new HashSet<Connection>();
        private readonly Thread acceptor;
        private volatile bool stopping;

        public HttpServer(IPAddress address, int port, IApplication application)
        {
            endpoint = new IPEndPoint(address, port);
            this.application = application;
            listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            acceptor = new Thread(AcceptAll, StackSize) { IsBackground = true };
        }

        public void Start()
        {
            listener.Bind(endpoint);
            listener.Listen(Backlog);
            acceptor.Start();
        }

        /// <summary>Stops listening, lets every request in flight finish; answers how many connections had to be cut.</summary>
        public int Stop(TimeSpan within)
        {
            DateTime deadline = DateTime.UtcNow + within;
            stopping = true;
            acceptor.Join();
            DateTime idleUntil = DateTime.UtcNow + IdleGrace;
            while (Open().Count > 0 && DateTime.UtcNow < deadline)
            {
                if (DateTime.UtcNow > idleUntil)
                    Open().ForEach(connection => connection.EndIfIdle());
                Thread.Sleep(10);
            }
            List<Connection> left = Open();
            left.ForEach(connection => connection.Cut());
            return left.Count;
        }

        private List<Connection> Open()
        {
            lock (connections)
                return new List<Connection>(connections);
        }

        private void AcceptAll()
        {
            // What the kernel has already accepted for us is ours to answer, also when a stop has begun.
            while (listener.Poll(stopping ? 0 : AcceptPause, SelectMode.SelectRead) || !stopping)
                if (listener.Poll(0, SelectMode.SelectRead))
                    Begin(listener.Accept());
            listener.Close();
        }

        private void Begin(Socket socket)
        {
            var connection = new Connection(socket, application, () => stopping);
            lock (connections)
                connections.Add(connection);
            new Thread(() => Serve(connection), StackSize) { IsBackground = true }.Start();
        }

        private void Serve(Connection connection)
        {
            connection.Serve();
            lock (connections)
                connections.Remove(connection);
        }
    }
}
