using System.Threading;

namespace Lab.Service
{
    /// <summary>The quotes' cache: the first requests fill it and are slow, 250 ms at first and then less and less.</summary>
    public sealed class Cache
    {
        private const int RequestsToFill = 40;
        private const int SlowestMilliseconds = 250;

        private int begun;
        private int done;

        public bool IsWarm => Volatile.Read(ref done) >= RequestsToFill;

        public void Use()
        {
            if (IsWarm)
                return;
            int before = Interlocked.Increment(ref begun) - 1;
            if (before < RequestsToFill)
                Thread.Sleep(SlowestMilliseconds * (RequestsToFill - before) / RequestsToFill);
            Interlocked.Increment(ref done);
        }
    }
}
