"""Several rooms: satellites that hear, engines that answer, a broker between them."""
