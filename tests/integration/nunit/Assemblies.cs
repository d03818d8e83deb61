// One source, several test assemblies: each is compiled with one of these names defined.
using System;
using System.Diagnostics;
using System.IO;
using System.Net;
using System.Threading;
using NUnit.Framework;

namespace Probe
{
    static class Aim
    {
        internal static void At(HttpWebRequest request, string who)
        {
            string header = Environment.GetEnvironmentVariable("TIDEGATE_AIM_HEADER");
            if (header == "Host") request.Host = who;
            else if (!string.IsNullOrEmpty(header)) request.Headers[header] = who;
            string run = Environment.GetEnvironmentVariable("TIDEGATE_RUN_HEADER");
            if (run != null) request.Headers[run] = Environment.GetEnvironmentVariable("TIDEGATE_RUN");
        }
    }
#if STRAYING
    [TestFixture]
    public class Straying
    {
        static void Ask(string who)
        {
            var request = (HttpWebRequest)WebRequest.Create(Environment.GetEnvironmentVariable("TIDEGATE_URL") + "/quotes");
            Aim.At(request, who);
            request.GetResponse().Close();
        }

        // As tests do that have a node's name written into them.
        [Test] public void AsksTheWrongNode() { Ask(Environment.GetEnvironmentVariable("TIDEGATE_AIM_VALUE")); Ask("n2"); }
    }
#endif
#if SORTED
    [TestFixture]
    public class Sorted
    {
        [Test, Category("Smoke")] public void Chosen() { }
        [Test, Category("Smoke"), Category("Slow")] public void TooSlow() { Assert.Fail("it was to be left out"); }
        [Test, Category("Two words")] public void AlsoChosen() { }
        [Test] public void OfNoCategory() { Assert.Fail("it was to be left out"); }
    }
#endif
#if PASSING
    [TestFixture]
    public class Passing
    {
        static string Env(string name) { return Environment.GetEnvironmentVariable(name); }

        [Test]
        public void ReachesTheAimedNode()
        {
            var request = (HttpWebRequest)WebRequest.Create(Env("TIDEGATE_URL") + "/health");
            Aim.At(request, Env("TIDEGATE_AIM_VALUE"));
            using (var response = request.GetResponse())
            {
                Assert.AreEqual(Env("TIDEGATE_NODE"), response.Headers["X-Served-By"]);
                Assert.That(new StreamReader(response.GetResponseStream()).ReadToEnd(), Is.StringContaining(Env("TIDEGATE_VERSION")));
            }
        }

        [TestCase(1)]
        [TestCase(2)]
        public void TakesArguments(int value) { Assert.Greater(value, 0); }
    }
#endif
#if MIXED
    [TestFixture]
    public class Mixed
    {
        [Test] public void Passes() { }
        [Test] public void Fails() { Assert.AreEqual("new\u001b[31m", "old", "the price"); }
        [Test] public void Throws() { throw new InvalidOperationException("boom"); }
        [Test] public void Inconclusive() { Assert.Inconclusive("cannot tell"); }
        [Test, Ignore("not yet")] public void Ignored() { }
        [Test] public void NeedsArguments(int value) { }
        [TestCase(1)] [TestCase(2)] public void OneOfTwo(int value) { Assert.AreEqual(1, value); }
    }
#endif
#if INCONCLUSIVE
    [TestFixture]
    public class Undecided
    {
        [Test] public void Inconclusive() { Assert.Inconclusive("cannot tell"); }
        [Test, Ignore("not yet")] public void Ignored() { }
    }
#endif
#if SETUP
    [TestFixture]
    public class BrokenSetUp
    {
        [TestFixtureSetUp] public void Up() { throw new Exception("no database"); }
        [Test] public void First() { }
        [Test] public void Second() { }
    }
#endif
#if HANGING
    [TestFixture]
    public class Hanging
    {
        [Test]
        public void NeverEnds()
        {
            // A child in a session of its own, which outlives its parent's process group.
            Process.Start(new ProcessStartInfo("setsid", "sleep 4711") { UseShellExecute = false });
            Thread.Sleep(Timeout.Infinite);
        }
    }
#endif
#if LEAKING
    [TestFixture]
    public class Leaking
    {
        [Test]
        public void TellsItsPassword()
        {
            string password = Environment.GetEnvironmentVariable("TRADE_PASSWORD");
            Console.WriteLine(password);
            // The process list of the box, while the tests run.
            foreach (string folder in Directory.GetDirectories("/proc"))
            {
                string file = folder + "/cmdline";
                try { Assert.That(File.ReadAllText(file), Is.Not.StringContaining(password), file); }
                catch (IOException) { }
                catch (UnauthorizedAccessException) { }
            }
            Assert.Fail("logged in as trader with " + password);
        }
    }
#endif
#if DYING
    [TestFixture]
    public class Dying
    {
        [Test] public void Dies()
        {
            // Past the runner's own writer: that one writes later, from another thread, and so perhaps never.
            byte[] words = System.Text.Encoding.ASCII.GetBytes("last words\n");
            using (System.IO.Stream output = Console.OpenStandardOutput()) output.Write(words, 0, words.Length);
            Environment.Exit(3);
        }
    }
#endif
#if SLOW
    [TestFixture]
    public class Slow { [Test] public void TakesAWhile() { Thread.Sleep(3000); } }
#endif
#if NOTHING
    public class Nothing { }
#endif
}
