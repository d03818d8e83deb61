using System;
using System.Net.Sockets;

namespace Lab.Service
{
    /// <summary>What makes the answers.</summary>
    public interface IApplication
    {
        Response Answer(Request request);

        Response Refuse(BadRequestException problem);
    }

    /// <summary>One client's connection: answers its requests one after the other until either side ends it.</summary>
    public sealed class Connection
    {
        private const int SendTimeout = 10 * 1000;

        private readonly Socket socket;
        private readonly IApplication application;
        private readonly Func<bool> stopping;
        private readonly RequestReader reader;
        private readonly object gate = new object();
        private bool idle = true;
        private bool closed;

        public Connection(Socket socket, IApplication application, Func<bool> stopping)
        {
            this.socket = socket;
            this.application = application;
            this.stopping = stopping;
            socket.NoDelay = true;
            socket.SendTimeout = SendTimeout;
            reader = new RequestReader(socket);
        }

        public void Serve()
        {
            try
            {
                for (bool open = true; open && reader.WaitForFirstByte();)
                    open = ServeBusy();
            }
            catch (SocketException)
            {
                // The client reset the connection or stopped reading; there is nobody left to answer.
            }
            catch (ObjectDisposedException)
            {
                // The stop's deadline has passed and the server cut us.
            }
            finally
            {
                Close();
            }
        }

        /// <summary>Ends the connection if it waits for a request; one that is being answered ends itself afterwards.</summary>
        public void EndIfIdle()
        {
            lock (gate)
                if (idle && !closed && NothingArrived())
                    Shutdown();
        }

        /// <summary>Ends the connection whatever it does.</summary>
        public void Cut() => Close();

        private bool ServeBusy()
        {
            SetIdle(false);
            bool open = ServeOne();
            SetIdle(true);
            return open;
        }

        private void SetIdle(bool value)
        {
            lock (gate)
                idle = value;
        }

        private bool ServeOne()
        {
            Request request;
            try
            {
                request = reader.Read();
            }
            catch (BadRequestException problem)
            {
                Send(application.Refuse(problem).Encode(true, false));
                return false;
            }
            if (request == null)
                return false;
            Response response = application.Answer(request);
            // Asked after the answer is made: a stop that began meanwhile must tell the client not to send another one.
            bool close = request.WantsClose || stopping();
            Send(response.Encode(close, request.Method == "HEAD"));
            return !close;
        }

        private void Send(byte[] bytes)
        {
            for (int sent = 0; sent < bytes.Length;)
                sent += socket.Send(bytes, sent, bytes.Length - sent, SocketFlags.None);
        }

        private bool NothingArrived()
        {
            try
            {
                return socket.Available == 0;
            }
            catch (SocketException)
            {
                return true;
            }
        }

        private void Shutdown()
        {
            try
            {
                socket.Shutdown(SocketShutdown.Both);
            }
            catch (SocketException)
            {
                // The client was faster.
            }
        }

        private void Close()
        {
            lock (gate)
            {
                if (closed)
                    return;
                closed = true;
                Shutdown();
                socket.Close();
            }
        }
    }
}
