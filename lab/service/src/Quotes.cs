using System;
using System.Linq;

namespace Lab.Service
{
    /// <summary>The prices that customers see: for each symbol a bid and an ask around a middle that moves a little.</summary>
    public static class Quotes
    {
        private static readonly string[] Symbols = { "EURUSD", "GBPUSD", "USDJPY", "XAUUSD" };
        private static readonly decimal[] Middles = { 1.0850m, 1.2710m, 151.20m, 2345.00m };

        public static Json.Raw Now() =>
            Json.Array(Symbols.Select((symbol, index) => One(symbol, Moved(Middles[index]))).ToArray());

        private static Json.Raw One(string symbol, decimal middle)
        {
            decimal half = Spread.HalfOf(middle);
            return Json.Object("symbol", symbol, "bid", middle - half, "ask", middle + half);
        }

        private static decimal Moved(decimal middle) =>
            decimal.Round(middle * (1 + DateTime.UtcNow.Millisecond / 1000000m), 5);
    }
}
