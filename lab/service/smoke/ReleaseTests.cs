using System.Collections.Generic;
using NUnit.Framework;

namespace Lab.Smoke
{
    /// <summary>Is it the release that was asked for, on the node that was asked for?</summary>
    [TestFixture]
    public class ReleaseTests
    {
        [Test]
        public void HealthIsOk() => Assert.That(Target.Get("/health").Body["status"], Is.EqualTo("ok"));

        [Test]
        public void ServesTheExpectedVersion() =>
            Assert.That(Target.Get("/health").Body["version"], Is.EqualTo(Target.Version));

        [Test]
        public void EveryAnswerNamesTheVersion()
        {
            foreach (string path in new[] { "/health", "/quotes" })
                Assert.That(Target.Get(path).Version, Is.EqualTo(Target.Version), path);
        }

        [Test]
        public void EveryAnswerComesFromTheNodeAimedAt()
        {
            for (int i = 0; i < 20; i++)
            {
                Answer answer = Target.Get("/health");
                Assert.That(answer.ServedBy, Is.EqualTo(Target.Node), "X-Served-By, as the load balancer says it");
                Assert.That(answer.Node, Is.EqualTo(Target.Node), "X-Node, as the service says it");
            }
        }

        [Test]
        public void HealthNamesTheArtifact() =>
            Assert.That(Target.Get("/health").Body["digest"], Is.StringMatching("^[0-9a-f]{64}$"));

        [Test]
        public void ComponentsAreReported()
        {
            var components = (Dictionary<string, object>)Target.Get("/health").Body["components"];
            Assert.That(components["database"], Is.EqualTo("ok"));
            Assert.That(components["cache"], Is.EqualTo("ok").Or.EqualTo("warming"));
        }

        [Test]
        public void UnknownPathsAreNotFound() => Assert.That(Target.Get("/no-such-path").Status, Is.EqualTo(404));
    }
}
