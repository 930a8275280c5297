"""From recoil energy to what is measured: quenching, resolution, efficiency, response matrices."""
