using System.Collections;
using NUnit.Framework;

namespace Lab.Smoke
{
    /// <summary>Does the feed deliver prices?</summary>
    [TestFixture]
    public class FeedTests
    {
        [Test]
        public void NamesItself() => Assert.That(Target.Get("/health").Body["service"], Is.EqualTo("pricefeed"));

        [Test]
        public void HasPrices() => Assert.That((ICollection)Target.Get("/quotes").Body["quotes"], Is.Not.Empty);

        [Test]
        public void AnswersWithItsVersion() => Assert.That(Target.Get("/quotes").Version, Is.EqualTo(Target.Version));
    }
}
