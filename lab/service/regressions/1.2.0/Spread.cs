namespace Lab.Service
{
    /// <summary>The distance between bid and ask.</summary>
    public static class Spread
    {
        private const decimal Share = 0.0001m;

        /// <summary>Half the spread; the defect of 1.2.0: its sign is wrong, so that customers buy below the price at which they sell.</summary>
        public static decimal HalfOf(decimal middle) => -decimal.Round(middle * Share / 2, 6);
    }
}
