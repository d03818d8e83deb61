using System;
using System.Collections;
using System.Collections.Generic;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using NUnit.Framework;

namespace Lab.Smoke
{
    /// <summary>Can customers trade?</summary>
    [TestFixture]
    public class TradeTests
    {
        [Test]
        public void QuotesCoverTheSymbols() =>
            Assert.That(Quotes().Select(quote => quote["symbol"]),
                Is.EquivalentTo(new[] { "EURUSD", "GBPUSD", "USDJPY", "XAUUSD" }));

        [Test]
        public void QuotesAreJsonWithBidAndAsk()
        {
            Assert.That(Target.Get("/quotes").ContentType, Is.StringStarting("application/json"));
            foreach (var quote in Quotes())
                Assert.That(quote.Keys, Is.EquivalentTo(new[] { "symbol", "bid", "ask" }));
        }

        [Test]
        public void TheSpreadIsPositive()
        {
            foreach (var quote in Quotes())
                Assert.That(Number(quote["ask"]), Is.GreaterThan(Number(quote["bid"])), (string)quote["symbol"]);
        }

        [Test]
        public void TheSpreadIsBelowOnePercent()
        {
            foreach (var quote in Quotes())
                Assert.That(Math.Abs(Number(quote["ask"]) / Number(quote["bid"]) - 1), Is.LessThan(0.01m),
                    (string)quote["symbol"]);
        }

        [Test]
        public void OrdersComeBackWithTheirChecksum()
        {
            byte[] order = Encoding.UTF8.GetBytes("{\"symbol\":\"EURUSD\",\"side\":\"buy\",\"amount\":1000}");
            Answer answer = Target.Post("/orders", order);
            Assert.That(answer.Status, Is.EqualTo(201));
            Assert.That(answer.Body["sha256"], Is.EqualTo(Sha256(order)));
            Assert.That(answer.Body["bytes"], Is.EqualTo(order.Length));
        }

        [Test]
        public void EachOrderHasItsOwnId()
        {
            var ids = Enumerable.Range(0, 5).Select(i => Target.Post("/orders", new byte[] { 1 }).Body["id"]).ToList();
            Assert.That(ids, Is.Unique);
        }

        [Test]
        public void ReportsAreComplete() =>
            Assert.That(Target.Get("/report?ms=100").Body["report"], Is.EqualTo("positions"));

        private static IEnumerable<Dictionary<string, object>> Quotes() =>
            ((IEnumerable)Target.Get("/quotes").Body["quotes"]).Cast<Dictionary<string, object>>();

        private static decimal Number(object value) => Convert.ToDecimal(value);

        private static string Sha256(byte[] body)
        {
            using (var hash = SHA256.Create())
                return string.Concat(hash.ComputeHash(body).Select(b => b.ToString("x2")));
        }
    }
}
