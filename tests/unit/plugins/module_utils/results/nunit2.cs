using System;
using NUnit.Framework;
namespace Probe
{
    [TestFixture, Category("Slow")]
    public class Mixed
    {
        [Test] public void Passes() { }
        [Test] public void Fails() { Assert.AreEqual("new\u001b[31m", "old", "the price"); }
        [Test, Category("Network")] public void Throws() { throw new InvalidOperationException("boom"); }
        [Test] public void Inconclusive() { Assert.Inconclusive("cannot tell"); }
        [Test, Ignore("not yet")] public void Ignored() { }
        [Test] public void NeedsArguments(int value) { }
        [TestCase(1)] [TestCase(2)] public void OneOfTwo(int value) { Assert.AreEqual(1, value); }
        [Test, Category("Größe")] public void Grösse() { }
    }
    [TestFixture]
    public class BrokenSetUp
    {
        [TestFixtureSetUp] public void Up() { throw new Exception("no database"); }
        [Test] public void First() { }
    }
    [TestFixture]
    public class BrokenTearDown
    {
        [TestFixtureTearDown] public void Down() { throw new Exception("still open"); }
        [Test] public void Passes() { }
    }
}
