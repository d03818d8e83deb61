namespace Lab.Service
{
    /// <summary>The distance between bid and ask.</summary>
    public static class Spread
    {
        private const decimal Share = 0.0001m;

        /// <summary>Half the spread: subtracted from the middle it gives the bid, added to it the ask.</summary>
        public static decimal HalfOf(decimal middle) => decimal.Round(middle * Share / 2, 6);
    }
}
