using System;
using System.Globalization;
using System.Linq;
using System.Text;

namespace Lab.Service
{
    /// <summary>Writes JSON; a Raw value is already JSON.</summary>
    public static class Json
    {
        public struct Raw
        {
            public string Text;
        }

        public static Raw Object(string name, object value, params object[] more)
        {
            var text = new StringBuilder("{");
            Member(text, name, value);
            for (int i = 0; i < more.Length; i += 2)
                Member(text.Append(','), (string)more[i], more[i + 1]);
            return new Raw { Text = text.Append('}').ToString() };
        }

        public static Raw Array(params Raw[] items) =>
            new Raw { Text = "[" + string.Join(",", items.Select(item => item.Text)) + "]" };

        private static void Member(StringBuilder text, string name, object value) =>
            text.Append(Quote(name)).Append(':').Append(Value(value));

        private static string Value(object value)
        {
            if (value is Raw raw)
                return raw.Text;
            if (value is string word)
                return Quote(word);
            return Convert.ToString(value, CultureInfo.InvariantCulture);
        }

        private static string Quote(string word)
        {
            var text = new StringBuilder("\"");
            foreach (char c in word)
                if (c == '"' || c == '\\')
                    text.Append('\\').Append(c);
                else if (c < ' ')
                    text.Append("\\u").Append(((int)c).ToString("x4"));
                else
                    text.Append(c);
            return text.Append('"').ToString();
        }
    }
}
