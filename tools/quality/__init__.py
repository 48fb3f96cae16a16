"""What is measured of the site, and the page that shows it."""
